"""Training on a machine that is reached by SSH: one's own, or one rented for the run."""
