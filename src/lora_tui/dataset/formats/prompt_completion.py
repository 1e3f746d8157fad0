"""`prompt` and `completion`, both lists of messages: TRL's conversational form. The loss is on the completion alone.

The completion is the last answer that is learned from; what follows it has no part in that loss and is not shown.
https://huggingface.co/docs/trl/dataset_formats#prompt-completion
"""

from __future__ import annotations

from typing import Any

from lora_tui.dataset.formats import openai
from lora_tui.dataset.formats.format import Fields, Format, Shown
from lora_tui.dataset.formats.turns import learned
from lora_tui.dataset.model import Row


def _fields(row: Row) -> dict[str, Any]:
    said = [openai.written(message, weight=False) for message in learned(row.messages)]
    shown: dict[str, Any] = {"prompt": said[:-1], "completion": said[-1:]}
    return shown | ({"tools": row.tools} if row.tools else {})


def _read(fields: Fields) -> Shown:
    said = openai.messages(fields.get("prompt")) + openai.messages(fields.get("completion"))
    return Shown(said, openai.tools(fields.get("tools")))


FORMAT = Format("prompt-completion", ".jsonl", "lines", _fields, _read)
