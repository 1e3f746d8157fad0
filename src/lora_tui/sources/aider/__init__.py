"""Aider's history: one markdown file per repository, all its chats below each other (read as written by 0.86)."""
