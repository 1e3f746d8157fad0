"""Dataset: what is accepted against what a profile wants, and the versions built from it."""
