"""What a curve says when a run goes wrong: rules as data (rules.toml), read by plain functions of numbers."""
