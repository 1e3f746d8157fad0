"""One folder per screen: its Python and its stylesheet side by side."""
