"""Learning with a working memory beside it."""
