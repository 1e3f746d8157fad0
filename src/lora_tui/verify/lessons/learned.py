"""What the fine-tune learned from: the rows of a dataset version, or all accepted examples."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

import msgspec

from lora_tui.curation import examples, reading
from lora_tui.curation.filters import Filter
from lora_tui.dataset import stored
from lora_tui.dataset.model import Dataset, Row
from lora_tui.sources.model import Message, ToolCall, own_words, text_of
from lora_tui.verify.lessons.mentions import Finder
from lora_tui.verify.lessons.terms import Words
from lora_tui.workspace.layout import Workspace

_REQUEST = 200  # characters
_PAGE = 200


class Learned(msgspec.Struct, frozen=True):
    """One example it learned from, with the terms it mentions. `length` in words."""

    key: str  # content hash of the example
    example: int  # 0: not known yet, see `key`
    row: str
    request: str
    language: str
    terms: frozenset[Words]
    length: int


def of_datasets(
    datasets: Sequence[Dataset], finder: Finder, languages: Collection[str], cancelled: Callable[[], bool]
) -> list[Learned]:
    """The train rows of these languages ('' among them: of all), each once. Raises BadInput for damaged files.

    What counts is what users say, and what the assistant says and writes where it is learned.
    """
    seen: set[str] = set()
    found = []
    for row in (row for dataset in datasets for row in stored.rows(dataset, "train")):
        if row.copy or row.id in seen or not ("" in languages or row.language in languages):
            continue
        if cancelled():
            break
        seen.add(row.id)
        terms, length = finder.of("\n".join(_said(row)))
        found.append(Learned(row.key, 0, row.id, _request(row), row.language, terms, length))
    return found


def of_accepted(
    workspace: Workspace, finder: Finder, languages: Collection[str], cancelled: Callable[[], bool]
) -> list[Learned]:
    """All accepted examples of these languages ('' among them: of all)."""
    wanted = () if "" in languages else tuple(sorted(languages))
    chosen = examples.ids(workspace, Filter(decision="accept", languages=wanted))
    found: list[Learned] = []
    for start in range(0, len(chosen), _PAGE):
        for row in examples.rows(workspace, chosen[start : start + _PAGE]):
            if cancelled():
                return found
            terms, length = finder.of("\n".join(spoken(reading.unredacted(workspace, row.id))))
            found.append(Learned("", row.id, "", row.request, row.language, terms, length))
    return found


def spoken(messages: Iterable[Message]) -> Iterator[str]:
    """What the user says, and what the assistant says and calls."""
    for message in messages:
        if message.role == "user":
            yield own_words(message)
        elif message.role == "assistant":
            yield text_of(message)
            yield from _arguments(message.tool_calls)


def _said(row: Row) -> Iterator[str]:
    for message in row.messages:
        if message.role == "user":
            yield message.content
        elif message.role == "assistant" and message.weight:
            yield message.content
            yield from _arguments(message.tool_calls)


def _arguments(calls: Iterable[ToolCall]) -> Iterator[str]:
    r"""What is called, as text: a line of code does not begin with the n of the \n before it."""
    return (call.function.arguments.replace("\\n", "\n").replace("\\t", "\t") for call in calls)


def _request(row: Row) -> str:
    """The last request before the answers that are learned, for lists."""
    asked = ""
    for message in row.messages:
        if message.role == "user":
            asked = message.content or asked
        elif message.role == "assistant" and message.weight and asked:
            break
    return " ".join(asked[: 4 * _REQUEST].split())[:_REQUEST]
