"""An adapter in PEFT's layout: adapter_config.json and adapter_model.safetensors, read without PEFT.

Each adapted layer is a module with a weight of m × n (out × in); its LoRA is A (r × n) and B (m × r) and stands for
ΔW = scale · B · A. Key of a tensor: `base_model.model.<module>.lora_A.weight`.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
from numpy.typing import NDArray

from lora_tui.adapters import peft_config
from lora_tui.adapters.peft_config import CONFIG as CONFIG
from lora_tui.adapters.tensor_files import Array, TensorFile
from lora_tui.workspace.errors import BadInput

WEIGHTS = "adapter_model.safetensors"
PREFIX = "base_model.model."
_KEY = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_[AB]\.weight")


class Module(msgspec.Struct, frozen=True):
    """One adapted layer. `rows` × `columns` is its weight's shape; the rank is read off the tensors."""

    name: str
    rows: int
    columns: int
    r: int
    alpha: float
    scale: float

    @property
    def parameters(self) -> int:
        """Weights of its A and B."""
        return self.r * (self.rows + self.columns)


class PeftFolder:
    """An open adapter folder. Use it as a context manager, or `close` it."""

    def __init__(self, folder: Path, name: str = "") -> None:
        """Open it; `name` is how people call it. Raises BadInput where it is no adapter, or is broken."""
        self.folder = folder
        self.name = name or folder.name
        self.config = peft_config.read(folder)
        if not (folder / WEIGHTS).is_file():
            raise BadInput(f"there is no {WEIGHTS}", where=str(folder), fix=peft_config.fix_of_missing(folder))
        self._file = TensorFile(folder / WEIGHTS)
        try:
            self.modules = self._modules()
        except BaseException:
            self.close()
            raise

    def _modules(self) -> dict[str, Module]:
        found: dict[str, Module] = {}
        tensors = self._file.tensors
        for name in dict.fromkeys(match["module"] for key in tensors if (match := _KEY.fullmatch(key))):
            info, other = (tensors.get(f"{PREFIX}{name}.lora_{side}.weight") for side in "AB")
            if not (info and other and len(info.shape) == len(other.shape) == 2 and info.shape[0] == other.shape[1]):
                raise BadInput(
                    f"lora_A and lora_B of {name} do not fit together", where=str(self._file.path), fix=_AGAIN
                )
            r = info.shape[0]
            alpha = self._alpha(name)
            scale = alpha / (math.sqrt(r) if self.config.get("use_rslora") else r) if r else 0.0
            found[name] = Module(name, other.shape[0], info.shape[1], r, alpha, scale)
        return found

    def _alpha(self, module: str) -> float:
        """PEFT's rule: the first entry of alpha_pattern that matches the end of the module's name."""
        for pattern, alpha in (self.config.get("alpha_pattern") or {}).items():
            if peft_config.ends_with(pattern, module):
                return float(alpha)
        alpha = self.config.get("lora_alpha")
        return 8.0 if alpha is None else float(alpha)

    def factors(self, module: str) -> tuple[Array, Array]:
        """A (r × n) and B (m × r) of a module in float32, without the scale. Raises KeyError."""
        return self._file.read(f"{PREFIX}{module}.lora_A.weight"), self._file.read(f"{PREFIX}{module}.lora_B.weight")

    @property
    def base(self) -> str:
        """The base it was made for, as its config names it; empty where it names none."""
        return str(self.config.get("base_model_name_or_path") or "")

    @property
    def revision(self) -> str:
        """The base's revision; empty where the config names none."""
        return str(self.config.get("revision") or "")

    @property
    def dtype(self) -> str:
        """The type that most of its weights are stored in: F32, BF16 or F16."""
        types = [info.dtype for info in self._file.tensors.values()]
        return max(set(types), key=types.count) if types else "F32"

    def obstacles(self) -> list[str]:
        """What makes it more than ΔW = scale · B · A, each by its key and why; empty: it is nothing more."""
        said = [f"{key}: {why}" for key, why in _OBSTACLES.items() if _is_set(self.config.get(key))]
        if (kind := self.config.get("peft_type")) != "LORA":
            said.append(f"peft_type = {kind!r}: only LORA is ΔW = B·A")
        if (bias := self.config.get("bias", "none")) not in ("none", None):
            said.append(f"bias = {bias!r}: it changes the base's biases")
        if isinstance(start := self.config.get("init_lora_weights", True), str) and start.lower().startswith(
            _CHANGED_BASE
        ):
            said.append(f"init_lora_weights = {start!r}: it changed the base's weights")
        strange = sorted(key for key in self._file.tensors if not _KEY.fullmatch(key))
        if strange and not said:
            said.append(f"{strange[0]}: a tensor that is neither lora_A nor lora_B")
        return said

    def raw_factors(self, module: str) -> tuple[NDArray[Any], NDArray[Any]]:
        """A and B as they lie in the file, without a copy; bfloat16 as its bits in uint16. Raises KeyError."""
        return self._file.raw(f"{PREFIX}{module}.lora_A.weight"), self._file.raw(f"{PREFIX}{module}.lora_B.weight")

    def release(self) -> None:
        """Give back the memory of the factors that were read."""
        self._file.release()

    def close(self) -> None:
        """Let go of the weights."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def is_adapter(folder: Path) -> bool:
    """Whether a folder looks like an adapter in PEFT's layout."""
    return (folder / CONFIG).is_file()


def _is_set(value: object) -> bool:
    return value not in (None, False, 0, "", [], {}, ())


_AGAIN = "Copy or download it again."
_OBSTACLES = {
    "use_dora": "DoRA scales the base's rows too",
    "use_qalora": "QALoRA pools its inputs",
    "use_bdlora": "its factors are block-diagonal",
    "modules_to_save": "whole modules are replaced",
    "trainable_token_indices": "rows of the embeddings are replaced",
    "target_parameters": "it adapts parameters that are no linear layers",
    "lora_bias": "lora_B has a bias",
    "alora_invocation_tokens": "aLoRA works on a part of the tokens only",
    "layer_replication": "it repeats layers of the base",
    "arrow_config": "it mixes experts at run time",
}
_CHANGED_BASE = ("olora", "corda", "loftq", "pissa")  # PiSSA also as pissa_niter_16
