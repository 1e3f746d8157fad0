"""Whole versions of any rows: out, in and out again in every format gives the same files, byte for byte."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from format_rows import rows
from lora_tui.dataset import exporting, importing
from lora_tui.dataset.check import troubles
from lora_tui.dataset.formats.formats import FORMATS
from lora_tui.dataset.model import SPLITS, Row, RowMessage
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace

TOOLSETS = {"build": [{"type": "function", "function": {"name": "read"}}], "": [{"b": None, "a": [1.0, "\u2028"]}]}

TURNS = count()

splits = st.lists(
    st.tuples(st.sampled_from(SPLITS), rows, st.sampled_from([None, "build", "gone"])), min_size=1, max_size=12
)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def split_files(folder: Path) -> dict[str, bytes]:
    return {name: found for name, found in contents(folder).items() if name in {f"{split}.jsonl" for split in SPLITS}}


SLOW = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "parquet"])
@settings(max_examples=10, deadline=None, suppress_health_check=SLOW)
@given(told=splits)
def test_a_version_of_any_rows_comes_back_as_it_was(
    workspace: Workspace, name: str, told: list[tuple[str, Row, str | None]]
) -> None:
    comes_back(workspace, name, told)


@settings(max_examples=4, deadline=None, suppress_health_check=SLOW)  # each reads six files in processes of their own
@given(told=splits)
def test_a_version_of_any_rows_comes_back_from_parquet_too(
    workspace: Workspace, told: list[tuple[str, Row, str | None]]
) -> None:
    comes_back(workspace, "parquet", told)


def comes_back(workspace: Workspace, name: str, told: list[tuple[str, Row, str | None]]) -> None:
    """Out, in and out again."""
    turn = f"turn{next(TURNS)}"
    root = workspace.root.parent / turn
    root.mkdir()
    for split, row, toolset in told:
        kept = row if toolset is None else msgspec.structs.replace(row, toolset=toolset, tools=[])
        with (root / f"{split}.jsonl").open("ab") as file:
            file.write(msgspec.json.encode(kept) + b"\n")
    (root / "tools.json").write_bytes(msgspec.json.encode(TOOLSETS))
    try:
        first = importing.import_(workspace, root, f"{turn}-first").dataset
    except BadInput:  # not one row with an answer
        assume(False)
    assert list(troubles(first)) == []
    exporting.export(first, name, root / "one")
    again = importing.import_(workspace, root / "one", f"{turn}-again")
    assert (again.bad, again.edited) == (0, 0)
    assert split_files(again.dataset.folder) == split_files(first.folder)
    exporting.export(again.dataset, name, root / "two")
    assert contents(root / "two") == contents(root / "one")


def test_a_repetition_does_not_carry_a_row_of_validation_into_train(workspace: Workspace, tmp_path: Path) -> None:
    said = [RowMessage("user", "What is a heap?"), RowMessage("assistant", "A tree in an array.")]
    other = [RowMessage("user", "What is a trie?"), RowMessage("assistant", "A tree of letters.")]
    first, again = Row("r1", said, session="s1"), Row("r1", said, session="s1", copy=1)
    (tmp_path / "validation.jsonl").write_bytes(msgspec.json.encode(first) + b"\n")
    lines = [msgspec.json.encode(row) + b"\n" for row in (again, Row("r2", other, session="s2"))]
    (tmp_path / "train.jsonl").write_bytes(b"".join(lines))
    done = importing.import_(workspace, tmp_path, "told")
    assert done.dataset.manifest.rows == {"train": 1, "validation": 1, "test": 0}
    assert [problem.where.rpartition("/")[2] for problem in done.problems] == ["train.jsonl:1"]
    assert list(troubles(done.dataset)) == []
