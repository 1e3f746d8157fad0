"""Against forgetting: what a run does to keep what the base, or the adapter it goes on from, could do before."""
