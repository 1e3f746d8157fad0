"""How full batches are said to be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytestmark = pytest.mark.engine


@given(st.lists(st.integers(1, 100), max_size=60))
def test_rows_are_packed_as_the_longest_first_into_the_first_place_that_fits(lengths: list[int]) -> None:
    from lora_tui.worker.packs import packs_of

    packs: list[int] = []
    for length in sorted(lengths, reverse=True):
        for number, used in enumerate(packs):
            if used + length <= 100:
                packs[number] += length
                break
        else:
            packs.append(length)
    assert len(packs_of(lengths, 100)) == len(packs)


def test_packing_says_how_many_slots_hold_a_token() -> None:
    from lora_tui.worker.audit_packing import packing

    found = packing([60, 40, 60, 40, 60, 40], 2, 100)
    assert (found.packs, found.packed) == (3, 1.0)
    assert found.padded <= found.grouped == pytest.approx(300 / 320)
    assert packing([], 2, 100).packs == 0


def test_histograms_count_every_row_once() -> None:
    from lora_tui.worker.audit_counts import histogram

    bins = histogram([0, 64, 65, 128, 1000])
    assert [(item.up_to, item.rows) for item in bins] == [(64, 2), (128, 2), (256, 0), (512, 0), (1024, 1)]
