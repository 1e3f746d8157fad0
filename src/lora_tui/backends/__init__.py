"""Who runs a training job, and what it would take."""
