"""Which rows of a version are listed, and the line that says so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from lora_tui.dataset.model import SPLITS
from lora_tui.jobs.audit import Audited, Finding
from lora_tui.tui.screens.version.row_index import RowIndex

GRAVEST = ("error", "warning", "note")


class Shown(msgspec.Struct, frozen=True):
    """A choice of rows: of one split ('' all), that one finding names ('' any), that hold words."""

    split: str = ""
    finding: str = ""  # its code
    words: str = ""

    @property
    def everything(self) -> bool:
        """Nothing is left out."""
        return not (self.split or self.finding or self.words)

    def next_split(self) -> Shown:
        """The same of the next split."""
        order = ("", *SPLITS)
        return msgspec.structs.replace(self, split=order[(order.index(self.split) + 1) % len(order)])


def numbers(index: RowIndex, shown: Shown, audited: Audited | None, holding: Iterator[int] | None) -> list[int]:
    """The rows to list, in the order of the files; `holding` are those with the words, where some were asked for."""
    found: Sequence[int] = list(holding) if holding is not None else range(len(index))
    if shown.split:
        found = [number for number in found if index.split(number) == shown.split]
    if shown.finding and audited is not None:
        named = {identity for item in audited.findings if item.code == shown.finding for identity in item.rows}
        found = [number for number in found if index.ids[number] in named]
    return list(found)


def marks(audited: Audited | None) -> Mapping[str, str]:
    """The gravest severity of what was found about each row, by id."""
    found: dict[str, str] = {}
    for severity in reversed(GRAVEST):
        for item in audited.findings if audited is not None else ():
            if item.severity == severity:
                found.update(dict.fromkeys(item.rows, severity))
    return found


def told(finding: Finding) -> str:
    """A finding as a choice in a list."""
    rows = f" · {finding.count:,}" if finding.count else ""
    return f"{finding.severity} {finding.code}{rows}: {finding.message}"
