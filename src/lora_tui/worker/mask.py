"""What carries loss: the assistant's words and the end of its turn, at the place where the model would write them.

Stock chat templates have no generation markers, and a mask that relies on them is silently empty. Here a turn begins
where the conversation before it, with the generation prompt, ends. That text must be the beginning of the whole text,
byte for byte: it is what the model will be given when it is asked for this turn.

Two things bend this rule, as TRL has it. A prompt may open a think block that a turn without reasoning does not have:
such a turn begins after the part of the prompt that it shares, and is learned for a model that is asked not to think.
A turn may repeat its header where the prompt lacks it, after a tool's result: it begins after it.

Some templates write what came before a turn otherwise once the turn is there (GPT-OSS drops what was said beside calls,
Gemma 4 closes a turn). Where a turn has no place even as the last one, it is learned right after its prompt.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from lora_tui.worker.rows import Row
from lora_tui.worker.template import Message, NotRendered, Template, for_template, has_reasoning, shared

IGNORED = -100  # the label of a token that carries no loss
Span = tuple[int, int]  # characters: begin, end


class Conversation:
    """One row's messages, ready for the template; what was rendered before is not rendered again."""

    def __init__(self, template: Template, messages: Sequence[Message], tools: list[dict[str, Any]] | None) -> None:
        self.template = template
        self.messages = list(messages)
        self.tools = tools
        self._rendered: dict[tuple[int, bool], str] = {}
        self.joined = 0  # how many messages the text holds that `join` made

    def text(self, count: int, *, prompt: bool = False) -> str:
        """The first `count` messages. Raises NotRendered."""
        known = self._rendered.get((count, prompt))
        if known is None:
            known = self.template.render(self.messages[:count], self.tools, prompt)
            self._rendered[count, prompt] = known
        return known

    def join(self, turn: int) -> bool:
        """Make the text up to a turn of its prompt and its words, unless these cannot be told. Raises NotRendered."""
        lead = self.template.lead
        if self.joined == turn + 1 or not self.template.end:
            return False
        after = self.text(turn + 1)
        other = "wsx" if not self.messages[turn]["content"].lstrip().startswith("w") else "qaz"
        spoken = [*self.messages[:turn], {"role": "assistant", "content": other}]
        instead = self.template.render(spoken, self.tools)
        begin = shared(instead, after)
        if not instead.startswith(lead + other, begin - len(lead)):
            return False
        self._rendered[turn + 1, False] = self.text(turn, prompt=True) + lead + after[begin:]
        self.joined = turn + 1
        return True

    def assistants(self, count: int) -> list[int]:
        """Which of the first `count` messages the assistant wrote."""
        return [index for index in range(count) if self.messages[index]["role"] == "assistant"]

    def last_request(self, count: int) -> int:
        """Where the request begins that the last of the first `count` messages belong to."""
        for index in range(count - 1, -1, -1):
            if self.messages[index]["role"] == "user":
                return index
        return 0


def conversation(template: Template, row: Row) -> Conversation:
    """Raises NotText, and NotRendered where the template would leave a call out without a word."""
    messages = [for_template(message) for message in row.messages]
    if not template.writes_calls and any(message.get("tool_calls") for message in messages):
        raise NotRendered("the template does not write tool calls")
    return Conversation(template, messages, row.tools or None)


def trained(row: Row) -> list[int]:
    """The messages that carry loss."""
    return [
        index
        for index, message in enumerate(row.messages)
        if message["role"] == "assistant" and message.get("weight", 1) != 0
    ]


def views(talk: Conversation, turns: Sequence[int]) -> Iterator[tuple[int, dict[int, Span]]]:
    """The fewest beginnings of a conversation (messages) in which all `turns` have their place, with these places.

    One is enough unless the template rewrites earlier turns. The longest comes first. What is left without a place in
    any of them is in none. Raises NotRendered.
    """
    todo = set(turns)
    count = len(talk.messages)
    while todo:
        found = places(talk, count, todo)
        if found:
            yield count, found
            todo -= found.keys()
        if not todo:
            return
        shorter = _end_of_request(talk, max(todo))
        if shorter >= count:
            shorter = max(todo) + 1
        if shorter >= count:
            if not talk.join(max(todo)):  # not even as the last turn does it stand where the prompt ends
                todo.discard(max(todo))
            continue
        count = shorter


def places(talk: Conversation, count: int, turns: Collection[int]) -> dict[int, Span]:
    """The places of those `turns` that have one in the text of the first `count` messages. Raises NotRendered."""
    quick = by_position(talk, count, turns)
    found = by_prefixes(talk, count, turns) if quick is None else quick
    text = talk.text(count)
    return {turn: talk.template.known.span(text, span) for turn, span in found.items()}


def by_position(talk: Conversation, count: int, turns: Collection[int]) -> dict[int, Span] | None:
    """The places by counting headers in one rendered text; None where that might not be what prefixes would say."""
    template = talk.template
    tooled = bool(talk.tools) or any("tool_calls" in item or item["role"] == "tool" for item in talk.messages[:count])
    keeps = template.with_tools if tooled else template.plain
    written = talk.assistants(count)
    if not keeps or not written or talk.joined == count:
        return None
    request = talk.last_request(count)
    if keeps == "segment":
        written = [turn for turn in written if turn > request]
    if not template.keeps_reasoning and any(
        turn < request and has_reasoning(talk.messages[turn]) for turn in turns if turn in written
    ):
        return None
    header = template.header.removesuffix(template.opened)
    if not set(turns) <= set(written) or _typed(talk, count, (header.strip(), template.end.strip())):
        return None
    text = talk.text(count)
    if text.count(header) != len(written):
        return None
    found: dict[int, Span] = {}
    at = 0
    for turn in written:
        start = text.index(header, at) + len(header)
        start += len(template.opened) if text.startswith(template.opened, start) else 0
        at = start
        if turn + 1 == count:
            end = len(text)
        else:
            end = text.find(template.end, start)
            if end < 0:
                return None
            end += len(template.end)
        if turn in turns:
            found[turn] = (start, end)
    return found


def by_prefixes(talk: Conversation, count: int, turns: Collection[int]) -> dict[int, Span]:
    """The places by rendering the conversation up to each turn, and up to its end."""
    text = talk.text(count)
    found: dict[int, Span] = {}
    for turn in sorted(turns):
        if turn >= count:
            continue
        after = talk.text(turn + 1)
        start = _begin(talk, text, after, turn)
        if start is None:
            continue
        if turn + 1 < count and talk.template.last and after.endswith(talk.template.last):
            after = after.removesuffix(talk.template.last) + talk.template.end
        end = len(text) if turn + 1 == count else _end(talk.template.end, text, after, start)
        if end is None:
            continue
        if has_reasoning(talk.messages[turn]) and text[start:end] != after[start:]:
            continue  # what it thought is left out here: it has another place, as a later part of the conversation
        found[turn] = (start, end)
    return found


def _begin(talk: Conversation, text: str, after: str, turn: int) -> int | None:
    """Where a turn begins in `text` and in `after`, which ends with it."""
    header, opened = talk.template.header, talk.template.opened
    before = talk.text(turn, prompt=True) if turn else _opening((header, header.removesuffix(opened)), after)
    if opened and not text.startswith(before):
        before = before.removesuffix(opened)
    if not text.startswith(before) or not after.startswith(before):
        return None
    if turn and header and text.startswith(header, len(before)) and before == talk.text(turn):
        before += header
    return len(before)


def _opening(headers: tuple[str, ...], first: str) -> str:
    """What stands before the words of an assistant who speaks first: most templates refuse no messages at all."""
    return next((first[: first.find(header) + len(header)] for header in headers if header and header in first), first)


def _end(mark: str, text: str, after: str, start: int) -> int | None:
    """Where the turn that `after` ends with ends in `text`, which may write less of it."""
    if text.startswith(after):
        return len(after)
    if not mark:
        return None
    at = start
    for _ in range(after.count(mark, start)):  # the words themselves may hold the mark
        at = text.find(mark, at)
        if at < 0:
            return None
        at += len(mark)
    return at if at > start and _says_less(text[start:at], after[start:]) else None


def _says_less(text: str, than: str) -> bool:
    """Whether only one piece was taken out, blanks aside: it holds nothing that others said after it."""
    short, long = "".join(text.split()), "".join(than.split())
    return shared(short, long) + shared(short[::-1], long[::-1]) >= len(short)


def _end_of_request(talk: Conversation, turn: int) -> int:
    for index in range(turn + 1, len(talk.messages)):
        if talk.messages[index]["role"] == "user":
            return index
    return len(talk.messages)


def _typed(talk: Conversation, count: int, marks: tuple[str, ...]) -> bool:
    """Whether somebody wrote what the template marks turns with."""
    return any(mark in said for message in talk.messages[:count] for said in _strings(message) for mark in marks)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield str(key)
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def kept(template: Template, messages: list[Message], tools: list[dict[str, Any]] | None = None) -> str:
    """How much of a conversation keeps its text when it goes on, as Template tells it; "" also where it is refused."""
    talk = Conversation(template, messages, tools)
    turns = talk.assistants(len(messages))
    try:
        found = by_prefixes(talk, len(messages), turns)
        if set(found) == set(turns):
            return "row"
        last = [turn for turn in turns if turn > talk.last_request(len(messages))]
        return "segment" if last and set(last) <= set(found) else ""
    except NotRendered:
        return ""


def counts(template: Template, messages: list[Message], tools: list[dict[str, Any]] | None = None) -> bool:
    """Whether counting headers tells the same places as rendering, where it tells any."""
    talk = Conversation(template, messages, tools)
    count = len(messages)
    turns = talk.assistants(count)
    try:
        return all(
            by_position(talk, count, some) in (None, by_prefixes(talk, count, some))
            for some in (turns, [turn for turn in turns if turn > talk.last_request(count)])
        )
    except NotRendered:
        return True


def spans(template: Template, row: Row) -> tuple[str, list[Span]]:
    """The whole row's text and the places of its trained turns that have one there. Raises NotText, NotRendered."""
    talk = conversation(template, row)
    found = places(talk, len(talk.messages), trained(row))
    return talk.text(len(talk.messages)), [found[turn] for turn in sorted(found)]


def labels(ids: Sequence[int], offsets: Sequence[Span], spans: Sequence[Span]) -> list[int]:
    """The labels: a token carries loss when it overlaps a span, as TRL has it. All in order of position."""
    result = [IGNORED] * len(ids)
    for start, end in spans:
        first = _first(offsets, lambda offset, at=start: offset[1] > at)
        last = _first(offsets, lambda offset, at=end: offset[0] >= at)
        result[first:last] = ids[first:last]
    return result


def _first(offsets: Sequence[Span], reached: Any) -> int:
    low, high = 0, len(offsets)
    while low < high:
        middle = (low + high) // 2
        if reached(offsets[middle]):
            high = middle
        else:
            low = middle + 1
    return low
