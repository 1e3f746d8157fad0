"""The formats of a row, each told by its keys. The first that fits decides; a row says itself which one it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from lora_tui.sources.chat.conversation import Conversation, NotAChat, Turns, kind, role_of

Row = Mapping[str, Any]

_TITLE = 80
_KEYS_NAMED = 6


def conversation(data: object) -> Conversation:
    """What a row says. Raises NotAChat with the reason. Keys that hold null count as absent: tables have them all."""
    if not isinstance(data, dict):
        raise NotAChat(f"the row is no object but {kind(data)}")
    row: Row = _without_nulls(data)
    for fits, read in _FORMATS:
        if fits(row):
            found: Conversation = read(row)
            return msgspec.structs.replace(found, title=found.title or _title(found))
    keys = ", ".join(str(key)[:30] for key in list(row)[:_KEYS_NAMED])
    raise NotAChat(f"none of the known formats; its keys: {keys or 'none'}")


def _has(*keys: str) -> Callable[[Row], bool]:
    return lambda row: all(key in row for key in keys)


def _messages(row: Row) -> Conversation:
    """OpenAI's and TRL's `messages`; also what `examples export` and `dataset build` write."""
    own = "key" in row and "native_id" in row
    built = "source" in row and "session" in row and "language" in row
    name = "lora-tui examples" if own else "lora-tui dataset" if built else "messages"
    return Conversation(
        format=name,
        messages=_turns(row, "messages"),
        content={"messages": row["messages"], **_also(row, "tools")},
        title=_text(row, "request") if own else "",
        agent=_text(row, "agent") if own else "",
        model=_text(row, "model"),
    )


def _sharegpt(row: Row) -> Conversation:
    """ShareGPT's `conversations` of from and value; a `function_call` is the assistant's, JSON of name and arguments.

    Also with role and content, as newer exports have it.
    """
    turns = Turns()
    if "system" in row:
        turns.add("system", row["system"])
    for item in _list(row, "conversations"):
        if "from" not in item:
            _turn(turns, item)
        elif item["from"] == "function_call":
            turns.add("assistant", None, calls=_calls(item.get("value")), weight=item.get("weight"))
        else:
            turns.add(role_of(item["from"]), item.get("value", item.get("content")), weight=item.get("weight"))
    content = {"conversations": row["conversations"], **_also(row, "system", "tools")}
    return Conversation("ShareGPT", turns.done(), content, model=_text(row, "model"))


def _prompt_completion(row: Row) -> Conversation:
    """`prompt` and `completion`, each a text or a list of messages."""
    turns = Turns()
    for key, role in (("prompt", "user"), ("completion", "assistant")):
        if isinstance(row[key], list):
            for item in _list(row, key):
                _turn(turns, item)
        else:
            turns.add(role_of(role), row[key])
    content = {"prompt": row["prompt"], "completion": row["completion"], **_also(row, "tools")}
    return Conversation("prompt/completion", turns.done(), content, model=_text(row, "model"))


def _alpaca(row: Row) -> Conversation:
    """Alpaca: `instruction`, an optional `input` below it, `output`; with `system` and earlier turns in `history`."""
    turns = Turns()
    if _text(row, "system"):
        turns.add("system", row["system"])
    for pair in row.get("history", []):
        if not isinstance(pair, list) or len(pair) != 2:
            raise NotAChat("history is no list of question and answer")
        turns.add("user", pair[0])
        turns.add("assistant", pair[1])
    parts = [row["instruction"], row.get("input", "")]
    if not all(isinstance(part, str) for part in parts):
        raise NotAChat("instruction and input must be text")
    turns.add("user", "\n\n".join(part for part in parts if part))
    turns.add("assistant", row["output"])
    content = {"instruction": row["instruction"], "output": row["output"], **_also(row, "input", "system", "history")}
    return Conversation("Alpaca", turns.done(), content, model=_text(row, "model"))


def _interaction(row: Row) -> Conversation:
    """An agent's interaction log: what the task was, which agent took it, what came out."""
    task, execution = row["task"], row["execution"]
    if not isinstance(task, Mapping) or not isinstance(execution, Mapping):
        raise NotAChat("task and execution must be objects")
    if not isinstance(task.get("description"), str) or not isinstance(execution.get("output"), str):
        raise NotAChat("task.description and execution.output must be text")
    agent = row.get("agent")
    turns = Turns()
    turns.add("user", task["description"])
    turns.add("assistant", execution["output"])
    content = {"task": task["description"], "execution": execution["output"]}
    role = _text(agent, "role") if isinstance(agent, Mapping) else ""
    model = _text(agent, "model") if isinstance(agent, Mapping) else ""
    return Conversation("interaction log", turns.done(), content, agent=role, model=model)


_TURN = re.compile(r"<\|im_start\|>([^\n]*)\n(.*?)(?:<\|im_end\|>\s*|\Z)", re.S)


def _chatml(row: Row) -> Conversation:
    """A `text` that a ChatML template rendered; a turn's text is what stands between its marks, untouched."""
    text, turns, end = row["text"], Turns(), 0
    for found in _TURN.finditer(text):
        if text[end : found.start()].strip() or "<|im_start|>" in found[2]:
            raise NotAChat("text outside of <|im_start|> and <|im_end|>")
        turns.add(role_of(found[1]), found[2])
        end = found.end()
    if text[end:].strip():
        raise NotAChat("text outside of <|im_start|> and <|im_end|>")
    return Conversation("ChatML text", turns.done(), {"text": text}, model=_text(row, "model"))


_FORMATS: Sequence[tuple[Callable[[Row], bool], Callable[[Row], Conversation]]] = (
    (_has("messages"), _messages),
    (_has("conversations"), _sharegpt),
    (_has("prompt", "completion"), _prompt_completion),
    (_has("instruction", "output"), _alpaca),
    (_has("task", "execution"), _interaction),
    (lambda row: isinstance(row.get("text"), str) and "<|im_start|>" in row["text"], _chatml),
)


def _turns(row: Row, key: str) -> list[Any]:
    turns = Turns()
    for item in _list(row, key):
        _turn(turns, item)
    return turns.done()


def _turn(turns: Turns, item: Row) -> None:
    calls = item.get("tool_calls")
    if calls is None and isinstance(item.get("function_call"), dict):  # OpenAI's first form
        calls = [item["function_call"]]
    turns.add(
        role_of(item.get("role")),
        item.get("content"),
        calls=calls,
        call_id=_text(item, "tool_call_id"),
        name=_text(item, "name"),
        reasoning=_text(item, "reasoning_content") or _text(item, "thinking"),
        weight=item.get("weight"),
    )


def _calls(value: object) -> list[Any]:
    try:
        found = msgspec.json.decode(value) if isinstance(value, str) else value
    except msgspec.DecodeError:
        raise NotAChat("a function_call is not JSON") from None
    return found if isinstance(found, list) else [found]


def _list(row: Row, key: str) -> list[Row]:
    found = row[key]
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise NotAChat(f"{key} is no list of messages")
    return found


def _text(row: Row, key: str) -> str:
    found = row.get(key)
    return found if isinstance(found, str) else ""


def _also(row: Row, *keys: str) -> dict[str, Any]:
    return {key: row[key] for key in keys if key in row}


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def _title(found: Conversation) -> str:
    asked = next((message.content for message in found.messages if message.role == "user"), "")
    text = asked if isinstance(asked, str) else ""
    return " ".join(text[: 4 * _TITLE].split())[:_TITLE]
