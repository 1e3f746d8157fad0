"""Monitor: every run, live or over, as its journal tells it."""
