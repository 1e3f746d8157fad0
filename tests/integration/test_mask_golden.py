"""Families TRL has no training template for: masks checked by hand, and against writers that know the mask."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mask_families import TOOLS, Messages, Talker, tokenizer_for, uses_tools

pytestmark = pytest.mark.engine

TEMPLATES = Path(__file__).parent.parent / "templates"
CONVERSATIONS = 220
Pieces = list[tuple[str, bool]]  # text, and whether it is trained on


def arguments(call: dict[str, Any]) -> dict[str, Any]:
    """A call's arguments as an object."""
    return dict(json.loads(call["function"]["arguments"]))


def written_json(value: Any) -> str:
    """As templates write it."""
    return json.dumps(value, ensure_ascii=False)


def chatml(messages: Messages, tools: bool, default: str = "") -> list[Pieces]:
    """Plain ChatML: one text."""
    pieces: Pieces = []
    if default and messages[0]["role"] != "system":
        pieces.append((f"<|im_start|>system\n{default}<|im_end|>\n", False))
    for message in messages:
        learned = message["role"] == "assistant" and message.get("weight", 1) == 1
        pieces += [(f"<|im_start|>{message['role']}\n", False), (f"{message['content']}<|im_end|>\n", learned)]
    return [pieces]


def qwen2(messages: Messages, tools: bool) -> list[Pieces]:
    """ChatML with a system message of its own."""
    return chatml(messages, tools, default="You are a helpful assistant.")


def qwen3_coder(messages: Messages, tools: bool) -> list[Pieces]:
    """ChatML with tool calls as XML; results of neighbouring calls share a turn."""
    pieces: Pieces = []
    system = messages[0]["content"] if messages[0]["role"] == "system" else ""
    if system or tools:
        told = "".join(
            f"\n<function>\n<name>{tool['function']['name']}</name>\n"
            f"<description>{tool['function']['description']}</description>\n<parameters>\n<parameter>\n"
            "<name>path</name>\n<type>string</type>\n</parameter>\n</parameters>\n</function>"
            for tool in TOOLS
        )
        block = f"\n\n# Tools\n\n<tools>{told}\n</tools>" if tools else ""
        pieces.append((f"<|im_start|>system\n{system or 'You help with code.'}{block}<|im_end|>\n", False))
    before = ""
    for message, after in zip(messages, [*(item["role"] for item in messages[1:]), ""], strict=True):
        role = message["role"]
        if role == "user":
            pieces.append((f"<|im_start|>user\n{message['content']}<|im_end|>\n", False))
        elif role == "tool":
            opened = "" if before == "tool" else "<|im_start|>user\n"
            closed = "" if after == "tool" else "<|im_end|>\n"
            pieces.append((f"{opened}<tool_response>\n{message['content']}\n</tool_response>\n{closed}", False))
        elif role == "assistant":
            said = message["content"].strip()
            for call in message.get("tool_calls", []):
                given = "".join(f"\n<parameter={key}>\n{value}\n</parameter>" for key, value in arguments(call).items())
                said += f"\n<tool_call>\n<function={call['function']['name']}>{given}\n</function>\n</tool_call>"
            pieces += [("<|im_start|>assistant\n", False), (f"{said}<|im_end|>\n", message.get("weight", 1) == 1)]
        before = role
    return [pieces]


def mistral(messages: Messages, tools: bool) -> list[Pieces]:
    """[INST]; system message and tools stand at the last request, so each request is a text of its own with them."""
    system = messages[0]["content"] + "\n\n" if messages[0]["role"] == "system" else ""
    talk = messages[1:] if system else messages
    asked = [index for index, message in enumerate(talk) if message["role"] == "user"]
    ends = [*asked[1:], len(talk)] if system or tools else [len(talk)]
    texts = []
    for end in ends:
        last = max(index for index in asked if index < end)
        pieces: Pieces = [("<s>", False)]
        for index, message in enumerate(talk[:end]):
            learned = message.get("weight", 1) == 1 and (len(ends) == 1 or index > last)
            if message["role"] == "user":
                shown = f"[AVAILABLE_TOOLS] {written_json(TOOLS)}[/AVAILABLE_TOOLS]" if tools and index == last else ""
                head = system if index == last else ""
                pieces.append((f"{shown}[INST] {head}{message['content']}[/INST]", False))
            elif message["role"] == "tool":
                result = f'{{"content": {written_json(message["content"])}, "call_id": "{message["tool_call_id"]}"}}'
                pieces.append((f"[TOOL_RESULTS] {result}[/TOOL_RESULTS]", False))
            elif message.get("tool_calls"):
                calls = ", ".join(
                    f'{{"name": "{call["function"]["name"]}", "arguments": {written_json(arguments(call))}, '
                    f'"id": "{call["id"]}"}}'
                    for call in message["tool_calls"]
                )
                pieces.append((f"[TOOL_CALLS] [{calls}]</s>", learned))
            else:
                pieces.append((f" {message['content']}</s>", learned))
        if any(learned for _, learned in pieces):
            texts.append(pieces)
    return texts


WRITERS: dict[str, tuple[Callable[[Messages, bool], list[Pieces]], bool]] = {
    "chatml": (chatml, False),
    "qwen2": (qwen2, False),
    "qwen3_coder": (qwen3_coder, True),
    "mistral": (mistral, True),
}


def family_tokenizer(name: str) -> Any:
    """A tokenizer with the family's template and special tokens."""
    eos = "</s>" if name == "mistral" else "<|im_end|>"
    return tokenizer_for((TEMPLATES / f"{name}.jinja").read_text(), eos=eos, marks=("<|im_start|>",))


def labels_of(tokenizer: Any, pieces: Pieces) -> tuple[list[int], list[int]]:
    """Ids and labels of a text whose trained characters are known."""
    text = "".join(piece for piece, _ in pieces)
    learned = [flag for piece, flag in pieces for _ in piece]
    out = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    ids = out["input_ids"]
    return ids, [
        token if any(learned[start:end]) else -100
        for token, (start, end) in zip(ids, out["offset_mapping"], strict=True)
    ]


@pytest.mark.parametrize("name", WRITERS)
def test_the_mask_is_what_the_familys_writer_knows_it_to_be(name: str) -> None:
    from lora_tui.jobs.audit import LeftOut
    from lora_tui.worker.rows import Row
    from lora_tui.worker.tokenize import tokenize

    writer, has_tools = WRITERS[name]
    tokenizer = family_tokenizer(name)
    talker = Talker(21, marks=("<|im_end|>", "<|im_start|>assistant\n", "</s>", "[/INST]"))
    parts = 0
    for number in range(CONVERSATIONS):
        messages = talker.conversation(tools=has_tools, weights=number % 3 == 0)
        tools = uses_tools(messages)
        row = Row(id=str(number), messages=messages, tools=TOOLS if tools else None)
        made = list(tokenize(tokenizer, [row], "train", 1_000_000))
        if all(message.get("weight") == 0 for message in messages if message["role"] == "assistant"):
            assert [item.reason for item in made if isinstance(item, LeftOut)] == ["no_loss"]
            continue
        expected = [labels_of(tokenizer, pieces) for pieces in writer(messages, tools)]
        assert [(item.input_ids, item.labels) for item in made if not isinstance(item, LeftOut)] == expected
        parts += len(expected)
    assert parts >= 200


def example(name: str) -> Messages:
    """The conversation of the golden files."""
    call = {"id": "abcdefghi", "type": "function", "function": {"name": "read", "arguments": '{"path": "a.rs"}'}}
    work: Messages = [
        {"role": "assistant", "content": "I look.", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "abcdefghi", "content": "fn main() {}\n"},
    ]
    return [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "not learned", "weight": 0},
        {"role": "user", "content": "What is in a.rs? Grüße 🦀"},
        *(work if WRITERS[name][1] else []),
        {"role": "assistant", "content": "An empty main.\n"},
        {"role": "user", "content": "Thanks"},
        {"role": "assistant", "content": ""},
    ]


@pytest.mark.parametrize("name", WRITERS)
def test_a_conversation_is_marked_as_checked_by_hand(name: str) -> None:
    from lora_tui.jobs.audit import LeftOut
    from lora_tui.worker.rows import Row
    from lora_tui.worker.template import Template
    from lora_tui.worker.windows import windows

    messages = example(name)
    row = Row(id="r", messages=messages, tools=TOOLS[:1] if uses_tools(messages) else None)
    shown = ""
    for part in windows(Template(family_tokenizer(name)), row, 1_000_000):
        assert not isinstance(part, LeftOut)
        text = part.text
        for start, end in reversed(part.spans):
            text = f"{text[:start]}⟦{text[start:end]}⟧{text[end:]}"
        shown += f"--- part {part.part} of {part.parts}\n{text}\n"
    assert shown == (TEMPLATES / "golden" / f"{name}.txt").read_text(encoding="utf-8")
