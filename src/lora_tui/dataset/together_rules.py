"""Together's rules for a fine-tuning file, checked before any upload: its servers tell of a mistake only afterwards.

Written from Together's documentation of its data formats and from what its SDK checked itself up to release 2
(https://docs.together.ai/docs/fine-tuning/data-preparation, …/function-calling). Since release 3 the SDK looks only
whether each line is a JSON object. A row may have the keys of one format alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from lora_tui.workspace.errors import BadInput

LARGEST = int(50.1 * 2**30)  # bytes: what the SDK uploads at most

_ROLES = ("system", "user", "assistant", "tool")
_FORMATS: dict[str, tuple[str, ...]] = {
    "messages": ("messages",),
    "prompt/completion": ("prompt", "completion"),
    "text": ("text",),
    "preference": ("input", "preferred_output", "non_preferred_output"),
}
_BESIDE = {"messages": ("tools", "weight")}


class Problem(msgspec.Struct, frozen=True):
    """A line that Together would refuse, counted from 1; 0: the file as a whole."""

    line: int
    message: str


def check(path: Path) -> Iterator[Problem]:
    """What Together would refuse of a file; nothing when it may be uploaded. Memory: one line.

    Raises BadInput when there is no such file.
    """
    if not path.is_file():
        raise BadInput("there is no such file", where=str(path), fix="Give the JSONL file to upload.")
    if path.suffix != ".jsonl":
        yield Problem(0, f"its name must end in .jsonl, not {path.suffix or 'without one'} (Parquet: tokens only)")
        return
    if path.stat().st_size > LARGEST:
        yield Problem(0, f"larger than 50.1 GiB: {path.stat().st_size / 2**30:.1f} GiB")
    format, rows = "", 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            rows += 1
            row = _object(line)
            if isinstance(row, str):
                yield Problem(number, row)
                continue
            own = format_of(row)
            format = format or own
            if own and own != format:
                yield Problem(number, f"a row of {own}, where the rows before are {format}: one format per file")
            for message in problems(row):
                yield Problem(number, message)
    if not rows:
        yield Problem(0, "there is no row in it: the least is 1")


def format_of(row: Mapping[str, Any]) -> str:
    """The format of a row by its keys; '' when they are of none or of several."""
    found = [name for name, keys in _FORMATS.items() if all(key in row for key in keys)]
    return found[0] if len(found) == 1 else ""


def problems(row: Mapping[str, Any]) -> Iterator[str]:
    """What Together would refuse of one row."""
    found = [name for name, keys in _FORMATS.items() if all(key in row for key in keys)]
    if not found:
        yield f"its keys are of no format of Together's: {', '.join(map(str, row)) or 'none'}"
        return
    if len(found) > 1:
        yield f"it could be {' or '.join(found)}: the keys of one format only"
        return
    (name,) = found
    extra = sorted(set(row) - set(_FORMATS[name]) - set(_BESIDE.get(name, ("weight",))))
    if extra:
        yield f"keys that Together does not know: {', '.join(extra)}"
    if not _is_weight(row.get("weight", 1)):
        yield "the row's weight must be a number from 0 on"
    match name:
        case "messages":
            yield from _conversation(row["messages"])
            yield from _tools(row.get("tools"))
        case "text" | "prompt/completion":
            for key in _FORMATS[name]:
                if not isinstance(row[key], str):
                    yield f"{key} must be text"
        case _:
            yield from _preference(row)


def _conversation(messages: object, answered: bool = True) -> Iterator[str]:
    """Roles start with system or user and alternate; outputs follow the answer whose calls they belong to."""
    if not isinstance(messages, list) or not messages:
        yield "messages must be a list with at least one message"
        return
    before = ""
    calls = False
    for number, message in enumerate(messages, start=1):
        where = f"message {number}"
        if not isinstance(message, Mapping):
            yield f"{where} is no object"
            return
        role = message.get("role")
        if role not in _ROLES:
            yield f"{where}: the role must be one of {', '.join(_ROLES)}, not {str(role)[:30]!r}"
            return
        yield from (f"{where}: {wrong}" for wrong in _message(message, role))
        if wrong := _out_of_turn(role, before, calls):
            yield f"{where}: {wrong}"
        before, calls = role, bool(message.get("tool_calls")) or (role == "tool" and calls)
    if answered and not any(message.get("role") == "assistant" for message in messages):
        yield "there is no message of an assistant"


def _out_of_turn(role: str, before: str, calls: bool) -> str:
    allowed = {
        "": ("system", "user"),
        "system": ("user",),
        "user": ("assistant",),
        "assistant": ("tool",) if calls else ("user",),
        "tool": ("tool", "assistant"),
    }[before]
    if role in allowed:
        return ""
    place = f"after {before}" if before else "at the beginning"
    return f"{place} comes {' or '.join(allowed)}, not {role}"


def _message(message: Mapping[str, Any], role: str) -> Iterator[str]:
    content, calls = message.get("content"), message.get("tool_calls")
    if content is None and (role != "assistant" or not calls):
        yield "without content" + (" or tool_calls" if role == "assistant" else "")
    elif content is not None and not isinstance(content, str | list):
        yield "the content must be text"
    if "weight" in message and (type(message["weight"]) is not int or message["weight"] not in (0, 1)):
        yield "the weight must be 0 or 1"
    if calls is not None and not (isinstance(calls, list) and all(_is_call(call) for call in calls)):
        yield "tool_calls must be a list of calls with a function, its name and its arguments"
    if calls and role != "assistant":
        yield f"a {role} calls no tools"


def _is_call(call: object) -> bool:
    function = call.get("function") if isinstance(call, Mapping) else None
    return (
        isinstance(function, Mapping)
        and isinstance(function.get("name"), str)
        and isinstance(function.get("arguments"), str | dict)
    )


def _tools(tools: object) -> Iterator[str]:
    if tools is not None and not (isinstance(tools, list) and all(isinstance(tool, Mapping) for tool in tools)):
        yield "tools must be a list of objects"


def _preference(row: Mapping[str, Any]) -> Iterator[str]:
    asked = row["input"].get("messages") if isinstance(row["input"], Mapping) else None
    if not isinstance(asked, list):
        yield "input must be an object with messages"
        return
    yield from _conversation(asked, answered=False)
    if asked and isinstance(asked[-1], Mapping) and asked[-1].get("role") == "assistant":
        yield "the last message of the input is the assistant's"
    for key in _FORMATS["preference"][1:]:
        said = row[key]
        if not (isinstance(said, list) and len(said) == 1 and isinstance(said[0], Mapping)):
            yield f"{key} must be a list of one message"
        elif said[0].get("role") != "assistant" or not isinstance(said[0].get("content"), str):
            yield f"{key} must be a text of the assistant"


def _is_weight(weight: object) -> bool:
    return isinstance(weight, int | float) and not isinstance(weight, bool) and weight >= 0


def _object(line: bytes) -> dict[str, Any] | str:
    """The object of a line, or what is wrong with it."""
    try:
        row = json.loads(line.decode())
    except UnicodeDecodeError:
        return "not UTF-8"
    except (ValueError, RecursionError) as error:
        return f"not JSON: {error}"
    return row if isinstance(row, dict) else "no JSON object"
