"""Types of GGUF that are not written here: llama.cpp's own programs make them where they are."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

from lora_tui.adapters.exporting import k_quants
from lora_tui.adapters.exporting.gguf_files import KINDS, is_written_here
from lora_tui.adapters.exporting.processor import threads
from lora_tui.adapters.exporting.work import Work
from lora_tui.workspace.errors import BadInput, LoraTuiError

# llama.h: enum llama_ftype
FILE_TYPES = {
    "Q2_K": 10,
    "Q3_K_S": 11,
    "Q3_K_M": 12,
    "Q3_K_L": 13,
    "Q4_K_S": 14,
    "Q4_K_M": 15,
    "Q5_K_S": 16,
    "Q5_K_M": 17,
    "Q6_K": 18,
    "IQ4_XS": 30,
}
OLLAMA = ("Q4_K_S", "Q4_K_M")  # what Ollama's `quantize` makes of a full-width GGUF
_BYTES = {"Q2_K": 0.36, "Q3": 0.46, "Q4": 0.57, "Q5": 0.68, "Q6": 0.79, "IQ4": 0.53}  # at most, of a weight
_CALL = """
import ctypes, sys
import llama_cpp
params = llama_cpp.llama_model_quantize_default_params()
params.ftype, params.nthread = int(sys.argv[3]), int(sys.argv[4])
sys.exit(llama_cpp.llama_model_quantize(sys.argv[1].encode(), sys.argv[2].encode(), ctypes.byref(params)))
"""


def named(kind: str) -> str:
    """A type as it is written here: "q8_0" for "Q8_0", "Q4_K_M" for "q4_k_m". Raises BadInput for an unknown one."""
    if kind.lower() in KINDS:
        return kind.lower()
    if kind.upper() in FILE_TYPES:
        return kind.upper()
    raise BadInput(f"{kind!r} is no type of GGUF known here", fix=f"Choose one of {', '.join((*KINDS, *FILE_TYPES))}.")


def bytes_of(weights: int, kind: str) -> int:
    """What so many weights take as a K-quant, at most."""
    return int(weights * next(size for name, size in _BYTES.items() if kind.startswith(name)))


def check_can(kind: str) -> None:
    """Raises BadInput, naming what could, where nothing here makes this K-quant."""
    if is_written_here(kind):
        return
    if _program() is None and importlib.util.find_spec("llama_cpp") is None:
        ollama = "; `export ollama` has Ollama do it" if kind in OLLAMA else ""
        raise BadInput(
            f"nothing here makes {kind}",
            fix="Put llama.cpp's llama-quantize on the PATH, or pip install llama-cpp-python"
            f"{_wheel(kind)}{ollama}. Made here are {', '.join(KINDS)}.",
        )


def _wheel(kind: str) -> str:
    return ", or 'lora-tui[llama-cpp]'" if kind in k_quants.DEFAULTS else ""


def quantize(work: Work, source: Path, output: Path, kind: str) -> str:
    """Make a K-quant of a GGUF in full width; returns what made it. Raises LoraTuiError with the last line it said."""
    check_can(kind)
    program = _program()
    if program is not None:
        by, command = "llama-quantize", [program, str(source), str(output), kind, str(threads())]
    else:
        by = "llama-cpp-python"
        command = [sys.executable, "-c", _CALL, str(source), str(output), str(FILE_TYPES[kind]), str(threads())]
    log = work.folder / "quantize.log"
    code = work.run(command, log)
    if code or not output.is_file():
        lines = log.read_text(errors="replace").strip().splitlines()
        raise LoraTuiError(f"{by} ended with code {code}: {lines[-1].strip() if lines else ''}", where=str(log))
    return by


def _program() -> str | None:
    return shutil.which("llama-quantize")
