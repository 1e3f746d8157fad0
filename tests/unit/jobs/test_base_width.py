"""Which width a base is held in: what the profile says, else what the machine is fast with."""

from __future__ import annotations

import pytest

from lora_tui.jobs.base_width import base_width


@pytest.mark.parametrize(
    ("bf16", "fp16", "gpu", "gpu_bf16", "cpu_bf16", "width"),
    [
        (None, False, False, False, False, "float32"),
        (None, False, False, False, True, "bfloat16"),
        (None, False, True, True, False, "bfloat16"),
        (None, False, True, False, True, "float16"),
        (True, False, False, False, False, "bfloat16"),
        (False, False, True, True, True, "float32"),
        (None, True, True, True, True, "float16"),
    ],
)
def test_the_profile_decides_and_else_the_machine(
    bf16: bool | None, fp16: bool, gpu: bool, gpu_bf16: bool, cpu_bf16: bool, width: str
) -> None:
    assert base_width(bf16=bf16, fp16=fp16, gpu=gpu, gpu_bf16=gpu_bf16, cpu_bf16=cpu_bf16) == width
