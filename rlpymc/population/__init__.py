"""How the parameters of subjects hang together.

effects          kinds of effects, each a declaration of variables, and the words they go by; all else loops over them
presets          priors of a group by name
coupled          parameters that are equal, and stand in one effect
whole_numbers    the kind of parameters that the likelihood is summed over
population       which parameters are estimated, and their effects; as variables of PyMC
people           subjects drawn from the population
points           where variables stand in a point, where chains start, what points mean
sites            Gaussians that stand for what each subject's data say
site_search, subjects_likelihood, moments
                 the search for these; the likelihood at many points; moments of posteriors by importance sampling
coordinates      what a sampler moves in: made of sites, or centred, or the density's own
formulas, machine_density, machine_coordinates
                 the posterior's density, and the change of coordinates around it, as machine code
"""
