"""Train: choose a profile and a dataset, see the plan, start."""
