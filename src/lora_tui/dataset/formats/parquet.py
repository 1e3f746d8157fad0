"""Parquet: the columns `messages` and `tools`, of one fixed type each; worker/table.py writes them.

What may have any shape is JSON text: a tool call's `arguments`, and the tools.
"""

from __future__ import annotations

from typing import Any

from lora_tui.dataset.formats import openai
from lora_tui.dataset.formats.format import Fields, Format, Shown
from lora_tui.dataset.model import Row


def _fields(row: Row) -> dict[str, Any]:
    said: dict[str, Any] = {"messages": [openai.written(message) for message in row.messages]}
    return said | ({"tools": openai.as_text(row.tools)} if row.tools else {})


def _read(fields: Fields) -> Shown:
    return Shown(openai.messages(fields.get("messages")), openai.tools(fields.get("tools")))


FORMAT = Format("parquet", ".parquet", "table", _fields, _read)
