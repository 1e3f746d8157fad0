"""More examples for a language that has few: real code stays the answer, a model writes only the request."""
