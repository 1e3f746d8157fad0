"""The agent shape: the conversation with its tool calls, as the agent that will use the fine-tune has it."""

from __future__ import annotations

from collections.abc import Sequence

from lora_tui.curation.trim import trimmed
from lora_tui.dataset.model import RowMessage
from lora_tui.dataset.targets import checked, retargeted
from lora_tui.dataset.user_text import user_text
from lora_tui.sources.model import Message, text_of
from lora_tui.sources.opencode.capture import Capture
from lora_tui.workspace.profiles import Data


def agent(
    messages: Sequence[Message], source: str, data: Data, capture: Capture | None, system: str
) -> list[RowMessage]:
    """The messages as rows, with the weights that stand in about.weight. Raises NoCounterpart.

    system: the captured agent's own prompt; it takes the place of a recorded one.
    """
    made = retargeted(list(messages), data.tool_target, source, capture.tool_names if capture is not None else None)
    if capture is not None:
        made = [message for message in checked(made, capture.tools) if message.role != "system"]
        made.insert(0, Message(role="system", content=system))
    return [_row(message, data.reasoning) for message in trimmed(made, data.cap)]


def _row(message: Message, reasoning: bool) -> RowMessage:
    learned = message.role != "assistant" or message.about.weight != 0
    return RowMessage(
        role=message.role,
        content=user_text(message) if message.role == "user" else text_of(message),
        reasoning_content=message.reasoning_content if reasoning else "",
        tool_calls=message.tool_calls,
        tool_call_id=message.tool_call_id,
        weight=int(learned),
    )
