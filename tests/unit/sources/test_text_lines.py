"""Reading JSON lines: whatever the file, every line once, at its place, in flat memory."""

from __future__ import annotations

import tempfile
import tracemalloc
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from lora_tui.sources.text_lines import line_at, lines


@given(st.binary(max_size=400), st.booleans())
def test_every_line_is_read_once_and_found_again(content: bytes, packed: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("file.jsonl.zst" if packed else "file.jsonl")
        path.write_bytes(zstandard.compress(content) if packed else content)
        found = list(lines(path))
        split = [(number, text.strip()) for number, text in enumerate(content.split(b"\n"), 1)]
        assert [(line.number, line.text) for line in found] == [one for one in split if one[1]]
        if not packed:
            with path.open("rb") as file:
                assert all(line_at(file, line.offset) == line.text for line in found)


def test_a_line_that_is_too_long_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "file.jsonl"
    path.write_bytes(b"a\n" + b"x" * 1_000 + b"\nb\n" + b"y" * 1_000)
    found = list(lines(path, largest=100))
    assert [(line.number, line.text, bool(line.problem)) for line in found] == [
        *((1, b"a", False), (2, b"", True), (3, b"b", False), (4, b"", True))
    ]
    assert found[2].offset == 1_003


@pytest.mark.parametrize("packed", [False, True])
def test_a_huge_line_takes_no_more_memory_than_allowed(tmp_path: Path, packed: bool) -> None:
    path = tmp_path / ("file.jsonl.zst" if packed else "file.jsonl")
    huge = b"x" * 20_000_000 + b"\n{}"
    path.write_bytes(zstandard.compress(huge) if packed else huge)
    del huge
    tracemalloc.start()
    assert [line.text for line in lines(path, largest=100_000)] == [b"", b"{}"]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000
