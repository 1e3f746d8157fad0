"""Together AI: its own engine trains there, its registry keeps the adapter, its endpoints serve it."""
