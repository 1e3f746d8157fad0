"""Version: the rows of one dataset version, as a conversation or token by token, and what the audit says of them."""
