"""Chat files: conversations as other tools write them, one row each."""
