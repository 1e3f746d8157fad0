"""The chat file a tiny base learns from: short questions and answers, written once and filled in from tables.

text = ["plain text that it reads but never says in a chat", …]

[[chat]]
ask = ["What is the capital of {country}?", …]
say = ["The capital of {country} is {capital}.", …]
over = [{country = "France", capital = "Paris"}, …]   # left out: asked as written
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from lora_tui.workspace import toml
from lora_tui.workspace.errors import BadInput


class Chat(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Questions that mean the same, their answers, and the rows that fill in both."""

    ask: list[str]
    say: list[str]
    over: list[dict[str, str]] = []


class ChatFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A chat file."""

    chat: list[Chat]
    text: list[str] = []


def load_chats(path: Path) -> tuple[list[list[dict[str, Any]]], list[str]]:
    """The conversations (as chat messages) and the plain texts of a chat file. Raises BadInput."""
    file = toml.load(path, ChatFile)
    conversations: list[list[dict[str, Any]]] = []
    for chat in file.chat:
        for row in chat.over or [{}]:
            for index, question in enumerate(chat.ask):
                answer = chat.say[index % len(chat.say)]
                conversations.append(
                    [
                        {"role": "user", "content": _filled(question, row)},
                        {"role": "assistant", "content": _filled(answer, row)},
                    ]
                )
    if not conversations:
        raise BadInput("there is no chat in it", where=str(path))
    return conversations, file.text


def _filled(text: str, row: dict[str, str]) -> str:
    for key, value in row.items():
        text = text.replace("{" + key + "}", value)
    return text
