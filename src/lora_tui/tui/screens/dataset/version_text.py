"""A version to read: its manifest, then its first rows as conversations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import msgspec

from lora_tui.dataset import versions
from lora_tui.dataset.model import SPLITS, Dataset, Row
from lora_tui.sources.model import Message
from lora_tui.tui.safe_text import moment, one_line
from lora_tui.tui.widgets.conversation_lines import Line, conversation
from lora_tui.tui.widgets.wrap import wrap

_ROWS = 5
_NAME = 11


class Opened(msgspec.Struct, frozen=True):
    """A version with its first training rows, and the files that are no longer what the manifest says."""

    dataset: Dataset
    rows: tuple[Row, ...]
    damaged: tuple[str, ...]


def read(dataset: Dataset) -> Opened:
    """Read the beginning of train.jsonl and check the files; a row that cannot be read ends the reading."""
    rows: list[Row] = []
    try:
        with (dataset.folder / "train.jsonl").open("rb") as file:
            rows += [msgspec.json.decode(line, type=Row) for line in islice(file, _ROWS)]
    except (OSError, msgspec.DecodeError):
        pass
    return Opened(dataset=dataset, rows=tuple(rows), damaged=tuple(versions.damaged_files(dataset)))


def version_lines(opened: Opened, width: int, folded: bool) -> Iterator[Line]:
    """The manifest's facts and the rows, in the tones of a transcript."""
    manifest = opened.dataset.manifest
    yield [
        (one_line(opened.dataset.label), "heading"),
        (f"  built {moment(manifest.created)}", "muted"),
    ]
    if opened.damaged:
        yield [(f"changed since it was built: {', '.join(opened.damaged)}", "bad")]
    left_out = sum(manifest.left_out.values())
    facts = {
        "rows": " · ".join(f"{manifest.rows.get(name, 0):,} {name}" for name in SPLITS),
        "left out": f"{left_out:,}: {_counted(manifest.left_out)}" if left_out else "nothing",
        "languages": _counted(manifest.by_language),
        "sources": _counted(manifest.by_source),
        "written by": _counted(manifest.by_model),
        "shape": f"{manifest.shape}: {manifest.shaping}",
        "profile": manifest.profile or "none",
        "split": f"{'/'.join(map(str, manifest.split))} by {manifest.split_rule}",
        "seed": str(manifest.seed),
        "hash": manifest.hash,
        "folder": f"datasets/{manifest.name}/{manifest.version} of the workspace",
    }
    for name, value in facts.items():
        for number, line in enumerate(wrap(one_line(value), width - _NAME)):
            yield [(("" if number else name).ljust(_NAME), "muted"), (line, "")]
    if not manifest.rows.get("validation"):
        yield [("too few sessions for a validation split: a run will have no eval loss", "muted")]
    for number, row in enumerate(opened.rows, start=1):
        yield []
        about = f"row {number} of train · {one_line(row.language)} · {one_line(row.session)} "
        yield [(about + "─" * max(0, width - len(about)), "muted")]
        yield from conversation(_messages(row), width, folded=folded)


def _messages(row: Row) -> Sequence[Message]:
    return [
        Message(
            role=item.role,  # type: ignore[arg-type]  # a row was made from such messages
            content=item.content,
            reasoning_content=item.reasoning_content,
            tool_calls=item.tool_calls,
            tool_call_id=item.tool_call_id,
        )
        for item in row.messages
    ]


def _counted(counts: Mapping[str, int]) -> str:
    return " · ".join(f"{number:,} {name}" for name, number in counts.items())
