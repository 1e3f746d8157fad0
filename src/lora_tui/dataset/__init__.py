"""What the trainer gets: selection, split, immutable versions."""
