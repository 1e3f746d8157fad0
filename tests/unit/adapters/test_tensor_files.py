"""safetensors files as the real library writes and reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from lora_tui.adapters.tensor_files import TensorFile, from_bfloat16, to_bfloat16, writing
from lora_tui.workspace.errors import BadInput

TYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


@pytest.mark.parametrize("dtype", TYPES)
def test_what_the_library_wrote_is_read_and_what_is_written_the_library_reads(tmp_path: Path, dtype: str) -> None:
    values = {
        name: (torch.randn(shape) * 3).to(TYPES[dtype]) for name, shape in {"a": (3, 5), "b": (7,), "c": ()}.items()
    }
    save_file(values, tmp_path / "theirs.safetensors", metadata={"format": "pt"})
    with TensorFile(tmp_path / "theirs.safetensors") as file:
        assert file.metadata == {"format": "pt"}
        assert set(file.tensors) == {"a", "b", "c"}
        for name, value in values.items():
            assert np.array_equal(file.read(name), value.float().numpy())
        plan = {name: (info.dtype, info.shape) for name, info in file.tensors.items()}
        with writing(tmp_path / "ours.safetensors", plan) as out:
            for name in sorted(plan, reverse=True):
                out.write(name, file.raw(name))
    again = load_file(tmp_path / "ours.safetensors")
    assert all(torch.equal(again[name], value) for name, value in values.items())


@given(st.lists(st.floats(width=32), min_size=1))
def test_bfloat16_is_rounded_as_torch_rounds_it(values: list[float]) -> None:
    theirs = torch.tensor(values, dtype=torch.float32).to(torch.bfloat16)
    ours = from_bfloat16(to_bfloat16(np.array(values, np.float32)))
    assert np.array_equal(ours, theirs.float().numpy(), equal_nan=True)


def test_a_tensor_left_out_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "half.safetensors"
    with (
        pytest.raises(ValueError, match="never written: b"),
        writing(path, {"a": ("F32", (2,)), "b": ("F32", (2,))}) as out,
    ):
        out.write("a", np.zeros(2, np.float32))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [0, 4, 8, 40, -1])
def test_a_file_that_is_cut_off_is_named(tmp_path: Path, size: int) -> None:
    path = tmp_path / "cut.safetensors"
    save_file({"a": torch.ones(100)}, path)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(BadInput, match=r"safetensors file|it is empty") as caught:
        TensorFile(path)
    assert "cut.safetensors" in str(caught.value.where)
