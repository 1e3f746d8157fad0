"""The formats a dataset is exported to and imported from. Each is a module; formats.py lists them."""
