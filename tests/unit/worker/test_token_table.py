"""Tokens of a run lie on disk: training maps them, and knows of each batch which rows it is made of."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.engine


def test_rows_come_back_as_they_were_from_a_file_that_is_mapped(tmp_path: Path) -> None:
    from lora_tui.worker.token_table import ids_of, lengths_of, with_more, write_rows
    from lora_tui.worker.tokenize import Tokens

    rows = [Tokens(f"row-{place}", list(range(place + 1)), [-100] * place + [place]) for place in range(1500)]
    table = write_rows(tmp_path / "tokens" / "train.arrow", iter(rows))
    assert [file["filename"] for file in table.cache_files] == [str(tmp_path / "tokens" / "train.arrow")]
    assert lengths_of(table) == list(range(1, 1501))
    for place in (0, 511, 512, 1499):
        assert (table[place]["input_ids"], table[place]["labels"]) == (rows[place].input_ids, rows[place].labels)
    more = with_more(table, tmp_path / "tokens" / "mixed.arrow", [Tokens("general-1", [1, 2], [-100, 2])])
    assert ids_of(more, [1500, 3, -1]) == ["general-1", "row-3"]
    assert [row["row"] for row in more.select([0, 1499, 1500])] == [0, 1499, 1500]


def test_a_table_that_could_not_be_finished_leaves_the_one_before_it(tmp_path: Path) -> None:
    from lora_tui.worker.token_table import write_rows
    from lora_tui.worker.tokenize import Tokens

    path = tmp_path / "train.arrow"
    write_rows(path, [Tokens("a", [1, 2], [-100, 2])])
    before = path.read_bytes()

    def broken() -> list[Tokens]:
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        write_rows(path, (row for _ in range(2) for row in broken()))
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["train.arrow"]
