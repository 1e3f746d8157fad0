"""What counts as out of memory, and how a batch is made smaller."""

from __future__ import annotations

from pathlib import Path

import pytest

from lora_tui.worker import collate
from lora_tui.worker.oom import Batch, is_out_of_memory, what_broke
from lora_tui.worker.token_table import write_rows
from lora_tui.worker.tokenize import Tokens

torch = pytest.importorskip("torch")


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory"),
            True,
        ),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (MemoryError(), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied (3x4 and 5x6)"), False),
        (ValueError("out of memory is what this text is about"), False),
    ],
)
def test_out_of_memory_is_told_from_other_errors(error: Exception, is_one: bool) -> None:
    assert is_out_of_memory(error) is is_one
    wrapped = RuntimeError("the step failed")
    wrapped.__cause__ = error
    assert is_out_of_memory(wrapped) is is_one


@pytest.mark.parametrize(
    ("batch", "smaller"),
    [
        ((4, 2), (2, 4)),
        ((2, 8), (1, 16)),
        ((3, 2), (1, 6)),
        ((5, 4), (2, 10)),
        ((7, 1), (1, 7)),
        ((6, 1), (3, 2)),
        ((1, 8), None),
    ],
)
def test_a_smaller_batch_has_the_same_rows_in_a_step(batch: tuple[int, int], smaller: tuple[int, int] | None) -> None:
    assert Batch(*batch).smaller() == (Batch(*smaller) if smaller else None)


ROWS = [Tokens("a", [1, 2, 3], [1, 2, 3]), Tokens("b", [4, 5], [4, 5]), Tokens("c", [4, 6], [4, 6])]


def test_the_rows_that_broke_it_are_named_the_longest_first(tmp_path: Path) -> None:
    table = write_rows(tmp_path / "rows.arrow", ROWS)
    broke = what_broke({collate.ROWS: torch.tensor([2, 0])}, table)
    assert (broke.longest, broke.rows) == (3, ("a", "c"))


def test_packed_rows_are_told_apart(tmp_path: Path) -> None:
    table = write_rows(tmp_path / "rows.arrow", ROWS)
    broke = what_broke({collate.ROWS: torch.tensor([[1, 0, -1]])}, table)
    assert (broke.longest, broke.rows) == (3, ("a", "b"))
    assert what_broke(None, table).longest == 0
