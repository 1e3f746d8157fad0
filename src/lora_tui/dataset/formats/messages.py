"""`messages`: OpenAI's chat messages, as TRL's conversational format and Together take them, with `tools` beside them.

https://huggingface.co/docs/trl/dataset_formats#conversational
"""

from __future__ import annotations

from typing import Any

from lora_tui.dataset.formats import openai
from lora_tui.dataset.formats.format import Fields, Format, Shown
from lora_tui.dataset.model import Row


def _fields(row: Row) -> dict[str, Any]:
    said: dict[str, Any] = {"messages": [openai.written(message) for message in row.messages]}
    return said | ({"tools": row.tools} if row.tools else {})


def _read(fields: Fields) -> Shown:
    return Shown(openai.messages(fields.get("messages")), openai.tools(fields.get("tools")))


FORMAT = Format("messages", ".jsonl", "lines", _fields, _read)
