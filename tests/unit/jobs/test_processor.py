"""Which processors multiply bf16 fast."""

from __future__ import annotations

from pathlib import Path

import pytest

from lora_tui.jobs.processor import has_fast_bf16


@pytest.mark.parametrize(
    ("said", "fast"),
    [
        ("processor\t: 0\nflags\t\t: fpu sse2 avx2 fma avx512f avx512_bf16\n", True),
        ("flags\t\t: fpu amx_bf16 amx_tile amx_int8\n", True),
        ("flags\t\t: fpu sse2 avx2 fma f16c\n", False),
        ("flags\t\t: fpu avx512f avx512bw avx512_vnni\n", False),
        ("Features\t: fp asimd aes sve i8mm bf16\n", True),
        ("Features\t: fp asimd aes\n", False),
        ("", False),
    ],
)
def test_bf16_is_taken_where_the_processor_has_instructions_for_it(tmp_path: Path, said: str, fast: bool) -> None:
    (tmp_path / "cpuinfo").write_text(said)
    assert has_fast_bf16(tmp_path / "cpuinfo") is fast


def test_a_system_that_says_nothing_is_taken_for_one_without(tmp_path: Path) -> None:
    assert not has_fast_bf16(tmp_path / "none")
