"""Rule tables: data, each with the cases that prove it."""
