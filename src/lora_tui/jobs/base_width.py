"""Which width a base is held and computed in: asked by the engine that loads it and by the estimate before that."""

from __future__ import annotations

from typing import Literal

Width = Literal["float32", "bfloat16", "float16"]


def base_width(*, bf16: bool | None, fp16: bool, gpu: bool, gpu_bf16: bool = True, cpu_bf16: bool = False) -> Width:
    """The width for a profile's `bf16` and `fp16` on a machine whose GPU or CPU is fast with bfloat16, or is not.

    What the profile says holds. Where it says nothing (None, False): bfloat16 where the machine is fast with it, else
    float16 on a GPU and float32 on a CPU, whose float16 is slower still.
    """
    if fp16:
        return "float16"
    if bf16 is None:
        if gpu:
            return "bfloat16" if gpu_bf16 else "float16"
        return "bfloat16" if cpu_bf16 else "float32"
    return "bfloat16" if bf16 else "float32"
