"""What a person types: one module per command group; parse, call, print."""
