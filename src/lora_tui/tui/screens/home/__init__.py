"""Home: the pipeline with what waits at each stage, and the next sensible step."""
