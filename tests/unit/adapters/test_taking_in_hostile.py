"""`adapters import` of what is damaged, wrong or meant to do harm: one clear error, and nothing is left behind."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from adapter_folders import PREFIX, factors, write_adapter
from lora_tui.adapters import checking, registry, unpacking
from lora_tui.adapters.metadata import Metadata
from lora_tui.adapters.taking_in import take_in
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace

QUERY, KEY = "model.layers.0.self_attn.q_proj", "model.layers.0.self_attn.k_proj"
SHAPES = {QUERY: (16, 16), KEY: (8, 16)}
CONFIG: dict[str, Any] = {
    "model_type": "qwen2",
    "hidden_size": 16,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "num_hidden_layers": 1,
    "intermediate_size": 32,
    "vocab_size": 64,
}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "workspace")


def adapter(folder: Path, shapes: dict[str, tuple[int, int]] = SHAPES, **config: Any) -> Path:
    return write_adapter(folder, factors(shapes, 2), **{"r": 2, **config})


def base(folder: Path, weights: dict[str, tuple[int, int]] | None = None, **config: Any) -> Path:
    """A base on this machine; with `weights` {module: shape} also the headers of its tensors."""
    import torch
    from safetensors.torch import save_file

    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG | config))
    if weights:
        made = {f"{name}.weight": torch.zeros(shape, dtype=torch.bfloat16) for name, shape in weights.items()}
        save_file(made, folder / "model-00001-of-00001.safetensors")
    return folder


@pytest.mark.parametrize(
    ("key", "value", "kind"),
    [
        ("r", "eight", "a whole number"),
        ("lora_alpha", "much", "a number"),
        ("target_modules", "([", "one regular expression"),
        ("target_modules", {"q_proj": 1}, "a list of names"),
        ("rank_pattern", ["q_proj"], "a rank for each regular expression"),
        ("rank_pattern", {"[": 2}, "a rank for each regular expression"),
        ("alpha_pattern", {"q_proj": "x"}, "a number for each regular expression"),
    ],
)
def test_a_config_with_values_of_no_use_is_refused_by_the_key(
    workspace: Workspace, tmp_path: Path, key: str, value: object, kind: str
) -> None:
    with pytest.raises(BadInput, match=f"its {key} is .*{kind}"):
        take_in(workspace, adapter(tmp_path / "odd", **{key: value}))
    assert registry.adapters(workspace) == []


def test_half_of_a_module_is_no_module(workspace: Workspace, tmp_path: Path) -> None:
    for side in "AB":
        half = factors(SHAPES, 2)
        del half[f"{PREFIX}{QUERY}.lora_{side}.weight"]
        with pytest.raises(BadInput, match=f"lora_A and lora_B of {QUERY} do not fit"):
            take_in(workspace, write_adapter(tmp_path / side, half, r=2))


def test_a_shape_below_zero_is_no_tensor(workspace: Workspace, tmp_path: Path) -> None:
    folder = adapter(tmp_path / "odd")
    path = folder / "adapter_model.safetensors"
    data = path.read_bytes()
    assert b'"shape":[2,16]' in data
    end = int.from_bytes(data[:8], "little")
    header = data[8 : 8 + end].replace(b'"shape":[2,16]', b'"shape":[-2,-16]').rstrip()
    path.write_bytes(len(header).to_bytes(8, "little") + header + data[8 + end :])
    with pytest.raises(BadInput, match="a shape that cannot be"):
        take_in(workspace, folder)


def test_a_damaged_copy_of_a_version_does_not_become_a_whole_one(workspace: Workspace, tmp_path: Path) -> None:
    folder = adapter(tmp_path / "outside")
    made = registry.add(
        workspace, Metadata(name="coder", run="r"), lambda draft: shutil.copytree(folder, draft, dirs_exist_ok=True)
    )
    copy = shutil.copytree(made.folder, tmp_path / "copy")
    for path in (copy, *copy.iterdir()):
        path.chmod(0o755)
    (copy / "notes.txt").write_text("of mine")
    taken = take_in(workspace, copy, name="second").adapter
    assert (taken.label, taken.metadata.run) == ("second@1.0.0", "")  # the run has its version already
    weights = bytearray((copy / "adapter_model.safetensors").read_bytes())
    weights[-1] ^= 1
    (copy / "adapter_model.safetensors").write_bytes(weights)
    with pytest.raises(BadInput, match=r"not what was registered: adapter_model\.safetensors: its content changed"):
        take_in(workspace, copy, name="third")


def test_pickled_weights_are_named_in_folders_and_archives(workspace: Workspace, tmp_path: Path) -> None:
    folder = adapter(tmp_path / "pickle")
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    archive = tmp_path / "pickle.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in folder.iterdir():
            file.write(path, f"within/{path.name}")
    for given in (folder, archive):
        with pytest.raises(BadInput, match=r"there is no adapter_model\.safetensors") as raised:
            take_in(workspace, given)
        assert "a pickle, which can run code" in raised.value.fix


def test_a_base_in_a_folder_is_found_from_anywhere_and_one_that_is_not_there_refused(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = base(tmp_path / "base")
    monkeypatch.chdir(tmp_path)
    folder = adapter(tmp_path / "outside")
    for said in ("base", "./base"):
        made = take_in(workspace, folder, base=said).adapter
        assert made.metadata.base == str(here)
        written = json.loads((made.folder / "adapter_config.json").read_bytes())
        assert written["base_model_name_or_path"] == str(here)
    with pytest.raises(BadInput, match=r"there is no such base \(\./bass\)"):
        take_in(workspace, folder, base="./bass")
    gone = adapter(tmp_path / "elsewhere", base_model_name_or_path="/home/nobody/base")
    assert take_in(workspace, gone).remarks == ("its base, /home/nobody/base, is not on this machine",)


@pytest.mark.parametrize("by", ["weights", "config"])
def test_an_adapter_of_another_base_is_refused_and_seen_by_verify(
    workspace: Workspace, tmp_path: Path, by: str
) -> None:
    weights = {QUERY: (16, 16), KEY: (8, 16)} if by == "weights" else None
    fitting = base(tmp_path / "fitting", weights)
    made = take_in(workspace, adapter(tmp_path / "outside"), base=str(fitting)).adapter
    assert checking.check(workspace, made.folder) == []
    wider = adapter(tmp_path / "wider", {QUERY: (16, 16), KEY: (16, 16)})
    with pytest.raises(BadInput, match=rf"not made for {fitting}: .*{KEY} is of 16 × 16, and that .* of 8 × 16"):
        take_in(workspace, wider, base=str(fitting))
    other = {"num_key_value_heads": 4}
    shutil.rmtree(fitting)
    base(fitting, {QUERY: (16, 16), KEY: (16, 16)} if by == "weights" else None, **other)
    [finding] = checking.check(workspace, made.folder)
    assert f"{KEY} is of 8 × 16" in finding.what


def test_a_layer_that_the_base_does_not_have_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    deeper = adapter(tmp_path / "deeper", {QUERY.replace("0", "1"): (16, 16)})
    with pytest.raises(BadInput, match="the base has no such layer"):
        take_in(workspace, deeper, base=str(base(tmp_path / "base")))


def test_what_a_base_does_not_tell_of_itself_is_not_judged(workspace: Workspace, tmp_path: Path) -> None:
    odd = {QUERY: (4, 4)}
    unknown = base(tmp_path / "unknown", model_type="deepseek_v2")
    turned = base(tmp_path / "turned", {QUERY: (4, 6)})
    assert take_in(workspace, adapter(tmp_path / "odd", odd), base=str(unknown)).adapter
    lies = adapter(tmp_path / "lies", {QUERY: (6, 4)}, fan_in_fan_out=True)
    assert take_in(workspace, lies, base=str(turned)).adapter


def _tar(add: Callable[[tarfile.TarFile], None]) -> bytes:
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w", format=tarfile.GNU_FORMAT) as tar:
        add(tar)
    return zstandard.compress(memory.getvalue())


def _zeros(name: str, size: int) -> Callable[[tarfile.TarFile], None]:
    def add(tar: tarfile.TarFile) -> None:
        info = tarfile.TarInfo(name)
        info.size = size
        tar.addfile(info, io.BytesIO(bytes(size)))

    return add


def _many(tar: tarfile.TarFile) -> None:
    for number in range(2_000):
        tar.addfile(tarfile.TarInfo(f"{number}.json"))


def _long_name(tar: tarfile.TarFile) -> None:
    tar.addfile(tarfile.TarInfo("a" * 9_000_000))


@pytest.mark.parametrize("packed", ["kept.json", "left_out.bin", "many", "name", "zip"])
def test_an_archive_that_is_far_larger_inside_is_refused(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packed: str
) -> None:
    monkeypatch.setattr(unpacking, "_LEAST", 1 << 20)
    monkeypatch.setattr(unpacking, "_MOST_FILES", 1_000)
    archive = tmp_path / "bomb"
    if packed == "zip":
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
            for number in range(3):
                file.writestr(f"{number}.json", bytes(3 << 20))
    else:
        made = {"many": _many, "name": _long_name}
        archive.write_bytes(_tar(made.get(packed) or _zeros(packed, 8 << 20)))
    with pytest.raises(BadInput, match="far more in this archive than an adapter has"):
        take_in(workspace, archive)
    assert not [path for path in workspace.adapters.rglob("*") if path.name != ".lock"]


def test_a_file_that_is_mostly_holes_is_not_unpacked(workspace: Workspace, tmp_path: Path) -> None:
    """GNU's sparse files say that they are large and hold little."""
    real, holes = b"{}".ljust(512, b" "), 1 << 40
    info = tarfile.TarInfo("adapter_config.json")
    info.type, info.size = tarfile.GNUTYPE_SPARSE, len(real)
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[386:398], header[398:410] = b"%011o\0" % 0, b"%011o\0" % len(real)
    header[483:495] = b"\x80" + holes.to_bytes(11, "big")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    archive = tmp_path / "holes.tar"
    archive.write_bytes(bytes(header) + real + bytes(1024))
    with pytest.raises(BadInput, match="there is no adapter here"):
        take_in(workspace, archive)
