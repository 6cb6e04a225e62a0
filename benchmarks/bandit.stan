// Delta rule with softmax; learning rate and inverse temperature vary around the group's, non-centred.
data {
  int<lower=1> n_subjects;
  int<lower=1> n_trials;
  array[n_subjects, n_trials] int<lower=0, upper=1> action;
  array[n_subjects] vector[n_trials] reward;
  array[2] real alpha_mu_prior;  // mean and standard deviation
  array[1] real alpha_sigma_prior;  // that of a normal, of which it is the upper half
  array[2] real beta_mu_prior;
  array[1] real beta_sigma_prior;
}
parameters {
  real alpha_mu;
  real<lower=0> alpha_sigma;
  real beta_mu;
  real<lower=0> beta_sigma;
  vector[n_subjects] alpha_z;
  vector[n_subjects] beta_z;
}
transformed parameters {
  vector[n_subjects] alpha = inv_logit(alpha_mu + alpha_sigma * alpha_z);
  vector[n_subjects] beta = exp(beta_mu + beta_sigma * beta_z);
}
model {
  alpha_mu ~ normal(alpha_mu_prior[1], alpha_mu_prior[2]);
  alpha_sigma ~ normal(0, alpha_sigma_prior[1]);
  beta_mu ~ normal(beta_mu_prior[1], beta_mu_prior[2]);
  beta_sigma ~ normal(0, beta_sigma_prior[1]);
  alpha_z ~ std_normal();
  beta_z ~ std_normal();
  // One node of the gradient's graph for each trial: the value of the action that was chosen; the rest goes as vectors.
  for (i in 1:n_subjects) {
    real kept = 1 - alpha[i];
    vector[n_trials] gain = alpha[i] * reward[i];
    vector[n_trials] first;
    vector[n_trials] second;
    real q0 = 0;
    real q1 = 0;
    for (t in 1:n_trials) {
      first[t] = q0;
      second[t] = q1;
      if (action[i, t]) q1 = fma(kept, q1, gain[t]);
      else q0 = fma(kept, q0, gain[t]);
    }
    action[i] ~ bernoulli_logit(beta[i] * (second - first));
  }
}
