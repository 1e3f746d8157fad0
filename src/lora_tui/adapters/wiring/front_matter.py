"""An agent's file of opencode: a head of YAML between two lines of dashes, then the prompt.

`description`, `mode` and `model` are read by opencode 1 and 2 alike, so one file does for both.
"""

from __future__ import annotations

import json
import re

_HEAD = re.compile(r"\A(\ufeff?---[ \t]*\r?\n)(.*?)^---[ \t]*(?:\r?\n|\Z)", re.S | re.M)
_MODEL = re.compile(r"^model[ \t]*:[ \t]*(.*?)(?=[ \t]+#|[ \t]*\r?$)", re.M)


def agent_file(description: str, model: str, prompt: str) -> str:
    """A new agent's file; without a prompt opencode takes its own one."""
    head = f"---\ndescription: {json.dumps(description, ensure_ascii=False)}\nmode: all\nmodel: {scalar(model)}\n---\n"
    return head + (f"\n{prompt.strip()}\n" if prompt.strip() else "")


def model_of(text: str) -> str | None:
    """The head's `model` as it is written there, None where it has none."""
    head = _HEAD.match(text)
    found = _MODEL.search(head[2]) if head else None
    return found[1] if found else None


def with_model(text: str, model: str | None) -> str:
    """The same file with another `model` as `scalar` gives it (None: without), and nothing else of it changed."""
    head = _HEAD.match(text)
    if head is None:
        return text if model is None else f"---\nmodel: {model}\n---\n{text}"
    start = head.start(2)
    found = _MODEL.search(head[2])
    if found is None:
        newline = "\r\n" if head[1].endswith("\r\n") else "\n"
        return text if model is None else text[:start] + f"model: {model}{newline}" + text[start:]
    if model is None:
        return text[: start + found.start()] + text[text.index("\n", start + found.end()) + 1 :]
    return text[: start + found.start(1)] + model + text[start + found.end(1) :]


def scalar(text: str) -> str:
    """A model's name in YAML, without quotes where it can be."""
    return text if re.fullmatch(r"[A-Za-z][\w.@-]*/[\w./@-]+(?::[\w./@-]+)*", text) else json.dumps(text)
