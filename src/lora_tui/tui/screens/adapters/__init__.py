"""Adapters: every version, what made it, what points to it, and what can be done with it."""
