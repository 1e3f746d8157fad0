"""The engines by name, and which one a machine has."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

from lora_tui.adapters.serving import llama_cpp, ollama, transformers, vllm
from lora_tui.adapters.serving.engine import Engine, Setting
from lora_tui.workspace.errors import BadInput

NAMES = ("vllm", "llama-cpp", "transformers", "ollama")


def engine(name: str, setting: Setting) -> Engine:
    """The engine called `name`. Raises BadInput where its program is not here."""
    match name:
        case "vllm":
            return vllm.Vllm(setting)
        case "llama-cpp":
            return llama_cpp.LlamaCpp(setting)
        case "transformers":
            return transformers.Transformers(setting)
        case "ollama":
            return ollama.Ollama(setting)
    raise BadInput(f"there is no engine {name!r}", fix=f"Known: {', '.join(NAMES)}.")


def here(base: str) -> str:
    """The engine to take where none is named: vLLM, else llama.cpp, else transformers. Raises BadInput for none."""
    tried = []
    for name, program in (("vllm", vllm.program), ("llama-cpp", llama_cpp.program)):
        try:
            if not (name == "vllm" and base.endswith(".gguf")):
                program("")
                return name
        except BadInput as error:
            tried.append(error.what)
    if importlib.util.find_spec("torch") is not None:
        return "transformers"
    raise BadInput(
        "no engine is here: " + "; ".join(tried),
        fix="Install vLLM into an environment of its own, or: pip install 'lora-tui[llama-cpp,gguf]'",
    )


def max_rank(ranks: Sequence[int]) -> int:
    """The least maximum rank that all of them fit."""
    return vllm.max_rank(ranks)
