"""Batches and their loss: padding never counts, and the order can be repeated."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.engine


def test_padding_is_masked_by_position_even_where_the_pad_token_is_a_real_one() -> None:
    from lora_tui.worker.collate import Padded

    batch = Padded(pad=7)([{"input_ids": [1, 7, 7], "labels": [-100, 7, 7]}, {"input_ids": [2], "labels": [2]}])
    assert batch["input_ids"].tolist() == [[1, 7, 7], [2, 7, 7]]
    assert batch["labels"].tolist() == [[-100, 7, 7], [2, -100, -100]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]


def test_every_row_comes_once_an_epoch_in_an_order_that_seed_and_epoch_decide() -> None:
    from lora_tui.worker.row_order import RowOrder

    lengths = [(index * 37) % 101 for index in range(103)]
    order = RowOrder("group_by_length", lengths, 4, seed=1)
    order.set_epoch(2)
    again = RowOrder("group_by_length", lengths, 4, seed=1)
    again.set_epoch(2)
    assert list(order) == list(again)
    assert sorted(order) == list(range(103))
    again.set_epoch(3)
    assert list(order) != list(again)
    batches = [list(order)[at : at + 4] for at in range(0, 100, 4)]
    spread = sum(max(lengths[i] for i in batch) - min(lengths[i] for i in batch) for batch in batches) / len(batches)
    assert spread < 10, "neighbours should be of similar length"


def test_the_order_of_rows_is_the_one_the_profile_names_and_can_be_repeated() -> None:
    from lora_tui.worker.row_order import RowOrder

    lengths = list(range(1, 31))
    assert list(RowOrder("sequential", lengths, 4, seed=1)) == list(range(30))
    mixed = RowOrder("random", lengths, 4, seed=1)
    first = list(mixed)
    assert sorted(first) == list(range(30)) != first
    mixed.set_epoch(1)
    assert list(mixed) != first
    resumed = RowOrder("random", lengths, 4, seed=1)
    resumed.set_epoch(1)
    assert list(resumed) == list(mixed), "a resumed run goes on with the rows it would have seen"


def test_processes_share_out_rows_evenly_with_rows_that_teach_nothing(tmp_path: Path) -> None:
    from lora_tui.worker.row_order import RowOrder
    from lora_tui.worker.token_table import filled_up, lengths_of, write_rows
    from lora_tui.worker.tokenize import IGNORED, Tokens

    rows = [Tokens(id=str(number), input_ids=[1] * number, labels=[1] * number) for number in range(1, 6)]
    table = write_rows(tmp_path / "rows.arrow", rows)
    assert filled_up(table, tmp_path / "filling.arrow", 5, pad=0) is table
    even = filled_up(table, tmp_path / "filling.arrow", 4, pad=0)
    assert [row["id"] for row in even] == ["1", "2", "3", "4", "5", "", "", ""]
    assert {label for row in even.select(range(5, 8)) for label in row["labels"]} == {IGNORED}
    order = list(RowOrder("random", lengths_of(even), 2, seed=1, filling=3))
    assert sorted(order[:5]) == [0, 1, 2, 3, 4]
    assert order[5:] == [5, 6, 7]
