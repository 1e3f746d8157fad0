"""A base model's folder as save_pretrained writes it: its config and its weights, read without transformers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from lora_tui.adapters import base_facts
from lora_tui.adapters.tensor_files import TensorFile, TensorInfo
from lora_tui.workspace.errors import BadInput

CONFIG = "config.json"
INDEX = "model.safetensors.index.json"
WEIGHTS = "model.safetensors"


class Base:
    """An open base. Use it as a context manager, or `close` it.

    `shards` are its files of weights in order, each with the names of its tensors; `tensors` is what all of them hold.
    """

    def __init__(self, folder: Path) -> None:
        """Open it. Raises BadInput where it is no model, is broken, or is not in full width."""
        self.folder = folder
        self.config = read_json(folder / CONFIG)
        if self.config.get("quantization_config"):
            raise BadInput(
                "this base is quantised: nothing can be added to its weights exactly",
                where=str(folder / CONFIG),
                fix="Name the base in full width, whose 4-bit or 8-bit form it is.",
            )
        self._files: dict[str, TensorFile] = {}
        self._of: dict[str, str] = {}
        try:
            for name in _shards(folder):
                self._files[name] = TensorFile(folder / name)
                self._of |= dict.fromkeys(self._files[name].tensors, name)
        except BaseException:
            self.close()
            raise

    @property
    def shards(self) -> dict[str, Mapping[str, TensorInfo]]:
        """{file: {tensor: how it is stored}}."""
        return {name: file.tensors for name, file in self._files.items()}

    @property
    def tensors(self) -> dict[str, TensorInfo]:
        """Every tensor of all files."""
        return {name: self._files[file].tensors[name] for name, file in self._of.items()}

    @property
    def bytes(self) -> int:
        """Of its weights on disk."""
        return sum(info.bytes for info in self.tensors.values())

    @property
    def architecture(self) -> str:
        """Its class in transformers: Qwen2ForCausalLM; empty where the config names none."""
        named = self.config.get("architectures") or [""]
        return str(named[0])

    def raw(self, name: str) -> Any:
        """A tensor as it is stored, without a copy; bfloat16 as its bits. Raises KeyError."""
        return self._files[self._of[name]].raw(name)

    @property
    def tied(self) -> bool:
        """Whether its head is its embeddings."""
        return bool(self.config.get("tie_word_embeddings", False)) or "lm_head.weight" not in self._of

    def close(self) -> None:
        """Let go of the files."""
        for file in self._files.values():
            file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def folder_of(base: str, revision: str = "") -> Path:
    """The folder of a resolved base: itself, or its snapshot in the Hugging Face cache. Raises BadInput.

    Nothing is downloaded.
    """
    found = base_facts.folder_of(base, revision)
    if found is None or not (found / CONFIG).is_file():
        raise BadInput(
            f"the base {base} is not on this machine",
            where=f"revision {revision}" if revision else "",
            fix=f"Give its folder with --base, or fetch it first: hf download {base}",
        )
    return found


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object of a model folder. Raises BadInput."""
    try:
        found = msgspec.json.decode(path.read_bytes())
    except OSError as error:
        raise BadInput(f"cannot read it: {error.strerror}", where=str(path), fix=_AGAIN) from error
    except msgspec.DecodeError as error:
        raise BadInput(f"this is no JSON: {error}", where=str(path), fix=_AGAIN) from error
    if not isinstance(found, dict):
        raise BadInput("this is no JSON object", where=str(path), fix=_AGAIN)
    return found


def _shards(folder: Path) -> list[str]:
    """Its files of weights, in the order of their names."""
    if (folder / INDEX).is_file():
        where = read_json(folder / INDEX).get("weight_map")
        if not isinstance(where, dict) or not all(
            isinstance(name, str) and Path(name).name == name for name in where.values()
        ):
            raise BadInput("it has no usable weight_map", where=str(folder / INDEX), fix=_AGAIN)
        return sorted(set(where.values()))
    if (folder / WEIGHTS).is_file():
        return [WEIGHTS]
    if any(folder.glob("pytorch_model*.bin")):
        fix = "They are pickles, which can run code and are never loaded: save it again as safetensors."
        raise BadInput("this base has its weights as .bin files only", where=str(folder), fix=fix)
    raise BadInput("this base has no safetensors weights", where=str(folder), fix=_AGAIN)


_AGAIN = "Copy or download it again."
