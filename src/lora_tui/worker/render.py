"""Conversations as tokens, with a loss mask that is ours: what the assistant wrote, found by rendering prefixes.

Stock chat templates have no generation markers, and a mask that relies on them is silently empty. Here the place of an
assistant turn is where the conversation up to it (with the generation prompt) ends and the conversation with it ends.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from lora_tui.jobs.audit import LeftOut, Reason
from lora_tui.worker.rows import Row
from lora_tui.workspace.errors import BadInput

IGNORED = -100  # the label of a token that carries no loss
_CHUNK = 256
_SENT = ("role", "name", "tool_call_id")


class Tokens(msgspec.Struct, frozen=True):
    """A row as the model sees it; `labels` equals `input_ids` where there is loss and IGNORED elsewhere."""

    id: str
    input_ids: list[int]
    labels: list[int]

    @property
    def loss_tokens(self) -> int:
        """How many tokens carry loss."""
        return sum(label != IGNORED for label in self.labels)


class NotText(Exception):
    """A message that a text model cannot be given: a picture, a file."""


def for_template(message: dict[str, Any]) -> dict[str, Any]:
    """An OpenAI message as chat templates expect it: text content, tool arguments as an object. Raises NotText."""
    given: dict[str, Any] = {key: message[key] for key in _SENT if message.get(key)}
    given["content"] = _text(message.get("content"))
    if message.get("reasoning_content"):
        given["reasoning_content"] = message["reasoning_content"]
    if message.get("tool_calls"):
        given["tool_calls"] = [
            {
                **call,
                "function": {
                    **call["function"],
                    "arguments": _arguments(call["function"].get("arguments", "")),
                },
            }
            for call in message["tool_calls"]
        ]
    return given


def _text(content: Any) -> str:
    """Several text parts become one text, joined as vLLM joins them for text-only templates."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if any(part.get("type") != "text" for part in content):
        raise NotText
    return "\n".join(part["text"] for part in content)


def _arguments(text: Any) -> Any:
    try:
        return json.loads(text) if isinstance(text, str) else text
    except ValueError:
        return text  # the model wrote something that is no JSON; the template shows it as it is


def render(tokenizer: Any, row: Row) -> tuple[str, list[tuple[int, int]]]:
    """The row's text and the character spans of the turns that carry loss.

    Raises NotText, and BadInput where the template cannot render the row or rewrites earlier turns.
    """
    messages = [for_template(message) for message in row.messages]
    tools = row.tools or None

    def text_of(count: int, *, prompt: bool = False) -> str:
        try:
            return str(
                tokenizer.apply_chat_template(
                    messages[:count], tools=tools, tokenize=False, add_generation_prompt=prompt
                )
            )
        except Exception as error:  # jinja's and the template's own exceptions have no common base
            raise BadInput(
                f"the base's chat template cannot render this row: {error}", where=f"row {row.id}"
            ) from error

    whole = text_of(len(messages))
    spans: list[tuple[int, int]] = []
    for index, message in enumerate(messages):
        if message["role"] != "assistant" or row.messages[index].get("weight", 1) == 0:
            continue
        before = text_of(index, prompt=True)
        after = whole if index + 1 == len(messages) else text_of(index + 1)
        if not (after.startswith(before) and whole.startswith(after)):
            raise BadInput(
                f"the base's chat template changes earlier turns, so message {index + 1} has no fixed place",
                where=f"row {row.id}",
                fix="Leave this row out, or use a base whose template only appends.",
            )
        spans.append((len(before), len(after)))
    return whole, spans


def labels_for(ids: Sequence[int], offsets: Sequence[tuple[int, int]], spans: Sequence[tuple[int, int]]) -> list[int]:
    """The labels: a token carries loss when it begins inside a span. Both lists are in order of position."""
    labels = [IGNORED] * len(ids)
    place = 0
    for index, (start, end) in enumerate(offsets):
        while place < len(spans) and start >= spans[place][1]:
            place += 1
        if place == len(spans):
            break
        if start >= spans[place][0] and end > start:
            labels[index] = ids[index]
    return labels


def tokenize(
    tokenizer: Any,
    rows: Sequence[Row],
    split: str,
    max_length: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[list[Tokens], list[LeftOut]]:
    """Rows as tokens with labels; nothing is ever cut. Rows that cannot be trained on whole are listed instead."""
    kept: list[Tokens] = []
    left_out: list[LeftOut] = []

    def leave_out(row: Row, reason: Reason, tokens: int) -> None:
        left_out.append(LeftOut(id=row.id, split=split, reason=reason, tokens=tokens))

    for at in range(0, len(rows), _CHUNK):
        rendered: list[tuple[Row, str, list[tuple[int, int]]]] = []
        for row in rows[at : at + _CHUNK]:
            try:
                rendered.append((row, *render(tokenizer, row)))
            except NotText:
                leave_out(row, "not_text", 0)
        if rendered:
            batch = tokenizer(
                [text for _, text, _ in rendered],
                add_special_tokens=False,  # the template writes them
                return_offsets_mapping=True,
                return_attention_mask=False,
                verbose=False,
            )
            for (row, _, spans), ids, offsets in zip(
                rendered, batch["input_ids"], batch["offset_mapping"], strict=True
            ):
                tokens = Tokens(id=row.id, input_ids=ids, labels=labels_for(ids, offsets, spans))
                if len(ids) > max_length:
                    leave_out(row, "too_long", len(ids))
                elif not tokens.loss_tokens:
                    leave_out(row, "no_loss", len(ids))
                else:
                    kept.append(tokens)
        progress(min(at + _CHUNK, len(rows)), len(rows))
    return kept, left_out


def check_trainable(kept: Sequence[Tokens], left_out: Sequence[LeftOut], dataset: str, max_length: int) -> None:
    """Refuse a dataset in which nothing or everything carries loss. Raises BadInput."""
    if not kept:
        reasons = ", ".join(
            f"{count} {text}"
            for reason, text in (
                ("too_long", f"longer than max_length {max_length}"),
                ("no_loss", "without an assistant turn"),
                ("not_text", "with pictures or files"),
            )
            if (count := sum(item.reason == reason for item in left_out))
        )
        raise BadInput(
            f"no row of the dataset can be trained on{': ' + reasons if reasons else ': it is empty'}",
            where=dataset,
            fix="Raise training.max_length, or accept more examples and build the dataset again.",
        )
    if all(IGNORED not in tokens.labels for tokens in kept):
        raise BadInput(
            "every token of the dataset would be trained on, the questions too",
            where=dataset,
            fix="The base's chat template has no turns; use the instruct variant of the model.",
        )
