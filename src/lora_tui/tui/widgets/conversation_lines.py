"""A conversation as lines of text with tones, one after another, made only as far as someone looks.

Roles are words and marks, so nothing is lost without colour: `you`, `agent`, `▸` a tool call, `│` what a tool
printed, `┆` what is not the speaker's own (reasoning, text the agent program added).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import msgspec
from rich.cells import cell_len

from lora_tui.sources.model import Message, TextPart, ToolCall, text_of
from lora_tui.tui.safe_text import one_line, plain
from lora_tui.tui.widgets.code_colours import coloured
from lora_tui.tui.widgets.wrap import chop, wrap

Line = list[tuple[str, str]]  # (text, tone) pieces

_FENCE = re.compile(r"^\s*(```+|~~~+)\s*([\w+#.-]*)")
_PLACEHOLDER = re.compile(r"(<(?:SECRET|PII):[\w.-]+:\d+>)")
_HEAD, _TAIL = 6, 3  # lines kept of a long output
_CODE_HEAD, _CODE_TAIL = 40, 5
_MAIN_ARGUMENTS = (
    "command",
    "cmd",
    "filePath",
    "file_path",
    "path",
    "pattern",
    "query",
    "url",
    "description",
    "prompt",
)
_LANGUAGE_OF = {"rs": "rust", "py": "python", "ts": "typescript", "tsx": "tsx", "js": "javascript", "rb": "ruby"}


def conversation(
    messages: Sequence[Message], width: int, *, folded: bool = True, weights: Sequence[int] = ()
) -> Iterator[Line]:
    """All lines for a window of `width` cells; long outputs folded to head and tail unless `folded` is False.

    Placeholders of redacted values get a tone of their own. `weights`, one per message, mark what is not learned from.
    """
    for line in _conversation(messages, width, folded, weights):
        yield _redactions(line) if any("<" in text for text, _ in line) else line


def _redactions(line: Line) -> Line:
    return [
        (piece, "redacted" if number % 2 else tone)
        for text, tone in line
        for number, piece in enumerate(_PLACEHOLDER.split(text))
        if piece
    ]


def _conversation(messages: Sequence[Message], width: int, folded: bool, weights: Sequence[int]) -> Iterator[Line]:
    outputs = {item.tool_call_id: item for item in messages if item.role == "tool" and item.tool_call_id}
    shown: set[str] = set()
    speaker = ""
    for number, message in enumerate(messages):
        if message.role == "tool":
            if message.tool_call_id not in shown:
                yield from _output(message, width, folded)
            continue
        if speaker and (message.role != speaker or message.role != "assistant"):
            yield []
        if message.role != speaker or message.role != "assistant":
            yield _heading(message)
        speaker = message.role
        if message.role == "assistant" and weights and not weights[number]:
            yield [("○ not learned from", "muted")]
        undone = message.about.reverted
        for line in _said(message, width, folded):
            yield [(text, "undone") for text, _ in line] if undone else line
        for call in message.tool_calls:
            answer = outputs.get(call.id)
            yield from _call(call, answer, width, folded)
            if answer is not None:
                shown.add(call.id)
                yield from _output(answer, width, folded)


def _heading(message: Message) -> Line:
    about = message.about
    name, tone = {"user": ("you", "you"), "assistant": ("agent", "agent"), "system": ("system", "muted")}.get(
        message.role, (message.role, "muted")
    )
    notes = [
        about.model.partition("/")[2] or about.model if message.role == "assistant" else "",
        f"@{about.agent}" if about.agent and message.role == "assistant" else "",
        {"shell": "ran a command", "compaction": "summary of what came before", "subtask": "delegated"}.get(
            about.origin, ""
        ),
        "undone" if about.reverted else "",
        "interrupted" if about.interrupted else "",
        about.error if message.role == "assistant" else "",
    ]
    line: Line = [(name, tone)]
    rest = " · ".join(one_line(note) for note in notes if note)
    if rest:
        line.append((f"  {rest}", "muted"))
    return line


def _said(message: Message, width: int, folded: bool) -> Iterator[Line]:
    if message.reasoning_content.strip():
        yield from _aside(message.reasoning_content, width, folded)
    parts = [message.content] if isinstance(message.content, str) else list(message.content or [])
    for index, part in enumerate(parts):
        if isinstance(part, str | TextPart):
            text = part if isinstance(part, str) else part.text
            if index in message.about.synthetic:
                yield [("┆ added by the agent program", "muted")]
                yield from _aside(text, width, folded)
            elif text.strip():
                yield from _prose(text, width, folded)
        else:
            name = getattr(part, "filename", "") or "image"
            yield [(f"[attached: {one_line(name)}]", "muted")]


def _prose(text: str, width: int, folded: bool) -> Iterator[Line]:
    """Wrapped text; fenced code keeps its lines and gets colours."""
    lines = plain(text).strip("\n").split("\n")
    index = 0
    while index < len(lines):
        fence = _FENCE.match(lines[index])
        if not fence:
            for piece in wrap(lines[index], width):
                yield [(piece, "heading" if lines[index].startswith("#") else "")]
            index += 1
            continue
        end = index + 1
        while end < len(lines) and not lines[end].strip().startswith(fence.group(1)):
            end += 1
        yield [(f"  {fence.group(2) or 'code'}", "muted")]
        yield from _code(lines[index + 1 : end], fence.group(2).lower(), width, folded)
        index = end + 1


def _code(lines: list[str], language: str, width: int, folded: bool) -> Iterator[Line]:
    kept = list(_kept(lines, _CODE_HEAD, _CODE_TAIL, folded))
    colours = iter(coloured([line for _, line in kept if line is not None], language))
    for number, line in kept:
        if line is None:
            yield [(f"  … {-number} more lines (z unfolds)", "muted")]
            continue
        pieces = next(colours, [(line, "")])
        if cell_len(line) <= width - 2:
            yield [("  ", ""), *pieces]
        else:
            yield from ([("  " + piece, "")] for piece in chop(line, width - 2))


def _aside(text: str, width: int, folded: bool) -> Iterator[Line]:
    lines = [piece for line in plain(text).strip().split("\n") for piece in wrap(line, width - 2)]
    for number, line in _kept(lines, _HEAD, 0, folded):
        if number < 0:
            yield [(f"┆ … {-number} more lines (z unfolds)", "muted")]
        else:
            yield [(f"┆ {line}", "aside")]


def _call(call: ToolCall, answer: Message | None, width: int, folded: bool) -> Iterator[Line]:
    arguments = _arguments(call)
    main = next((key for key in _MAIN_ARGUMENTS if isinstance(arguments.get(key), str)), "")
    what = one_line(str(arguments[main])) if main else one_line(call.function.arguments)
    outcome, tone = _outcome(answer)
    room = max(10, width - len(call.function.name) - len(outcome) - 6)
    line: Line = [("▸ ", "tool"), (one_line(call.function.name), "tool")]
    if what:
        line.append((" " + (what if len(what) <= room else what[: room - 1] + "…"), ""))
    if outcome:
        line.append((f" → {outcome}", tone))
    yield line
    yield from _change(arguments, width, folded)


def _outcome(answer: Message | None) -> tuple[str, str]:
    if answer is None:
        return "no answer", "muted"
    if answer.about.error:
        return one_line(answer.about.error), "bad"
    if answer.about.exit is not None:
        return f"exit {answer.about.exit}", "bad" if answer.about.exit else "good"
    return "", ""


def _change(arguments: dict[str, object], width: int, folded: bool) -> Iterator[Line]:
    """What an edit or a write puts into a file."""
    path = str(arguments.get("filePath") or arguments.get("file_path") or "")
    old, new = (
        arguments.get("oldString", arguments.get("old_string")),
        arguments.get("newString", arguments.get("new_string")),
    )
    if isinstance(new, str):
        for text, mark, tone in ((old, "-", "bad"), (new, "+", "good")):
            if isinstance(text, str) and text:
                for number, line in _kept(plain(text).split("\n"), _HEAD * 2, _TAIL, folded):
                    shown = f"… {-number} more lines (z unfolds)" if number < 0 else line or ""
                    yield from ([(f"  {mark} {piece}", tone)] for piece in chop(shown, width - 4))
    elif isinstance(content := arguments.get("content"), str):
        ending = path.rpartition(".")[2].lower()
        yield from _code(plain(content).split("\n"), _LANGUAGE_OF.get(ending, ending), width, folded)


def _output(message: Message, width: int, folded: bool) -> Iterator[Line]:
    if message.about.cleared:
        yield [("  │ removed from the model's context later", "muted")]
    lines = plain(text_of(message)).strip("\n").split("\n")
    if lines == [""]:
        return
    for number, line in _kept(lines, _HEAD, _TAIL, folded):
        if number < 0:
            yield [(f"  │ … {-number} more lines (z unfolds)", "muted")]
        else:
            yield from ([("  │ ", "muted"), (piece, "output")] for piece in chop(line or "", width - 4))


def _kept(lines: list[str], head: int, tail: int, folded: bool) -> Iterator[tuple[int, str | None]]:
    """(number, line) for the lines to show; (-n, None) stands for n folded ones."""
    if not folded or len(lines) <= head + tail + 2:
        yield from enumerate(lines)
        return
    yield from enumerate(lines[:head])
    yield -(len(lines) - head - tail), None
    yield from enumerate(lines[len(lines) - tail :], start=len(lines) - tail) if tail else ()


def _arguments(call: ToolCall) -> dict[str, object]:
    try:
        found = msgspec.json.decode(call.function.arguments)
    except msgspec.DecodeError:
        return {}
    return found if isinstance(found, dict) else {}
