"""lora-tui: from the sessions you had with your coding agent to a specialist it uses tomorrow."""

__version__ = "0.1.0"
