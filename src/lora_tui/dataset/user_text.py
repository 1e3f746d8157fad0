"""A user's message as one text. What a program put around the user's words is gone by then; so are the gaps it left."""

from __future__ import annotations

from lora_tui.sources.model import Message, own_words, texts


def user_text(message: Message) -> str:
    """The texts of a trimmed message, those that became empty left out."""
    return "\n".join(text for text in texts(message) if text.strip()).strip("\n")


def typed_text(message: Message) -> str:
    """What the user typed; where a program speaks in the user's place alone, what it says."""
    return own_words(message).strip("\n") or user_text(message)
