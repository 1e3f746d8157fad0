"""Bringing a base model, its tokenizer and an adapter into memory."""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from lora_tui.jobs.base_width import Width, base_width
from lora_tui.jobs.processor import has_fast_bf16
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.profiles import Profile

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers import logging as transformers_logging

from lora_tui.worker.new_tokens import TOKENIZER, make_room_for_adapter

transformers_logging.disable_progress_bar()

_GENERATION = "generation_config.json"


class Facts(msgspec.Struct, frozen=True):
    """What a base says of its tokens that begin, end and fill up texts."""

    had_pad: bool  # a pad token of its own, before `load_tokenizer` gave it one
    pad_is_eos: bool  # harmless here: padding is masked by position
    bos: int | None
    eos: int | None
    stops: frozenset[int]  # every token at which the base stops to write, its generation config's too


def load_tokenizer(base: str) -> Any:
    """The base's tokenizer, checked: fast, with a chat template and a pad token. Raises BadInput.

    A base without a pad token gets its end token for it, and `facts` says so.
    """
    tokenizer = _from(AutoTokenizer, base, "tokenizer")
    if not tokenizer.is_fast:
        raise BadInput("this base has no fast tokenizer, which the loss mask needs", where=base)
    if not tokenizer.chat_template:
        raise BadInput("this base has no chat template", where=base, fix="Use the instruct variant of the model.")
    tokenizer.had_pad = tokenizer.pad_token_id is not None
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def facts(tokenizer: Any, base: str) -> Facts:
    """What `base` says of the tokens of its tokenizer, as `load_tokenizer` gave it."""
    named = _generation_config(base).get("eos_token_id")
    stops = {*(named if isinstance(named, list) else [named]), tokenizer.eos_token_id} - {None}
    return Facts(
        had_pad=getattr(tokenizer, "had_pad", tokenizer.pad_token_id is not None),
        pad_is_eos=tokenizer.pad_token_id is not None and tokenizer.pad_token_id == tokenizer.eos_token_id,
        bos=tokenizer.bos_token_id,
        eos=tokenizer.eos_token_id,
        stops=frozenset(stops),
    )


def _generation_config(base: str) -> dict[str, Any]:
    from transformers.utils import cached_file

    folder = Path(base).expanduser()
    try:
        path = folder / _GENERATION if folder.is_dir() else cached_file(base, _GENERATION)
        return msgspec.json.decode(Path(path).read_bytes(), type=dict[str, Any])
    except (OSError, TypeError, ValueError):
        return {}  # many bases have none


def load_config(base: str) -> Any:
    """The base's configuration. Raises BadInput."""
    return _from(AutoConfig, base, "configuration")


def load_base(base: str, profile: Profile, device: str, *, sharded: bool = False) -> Any:
    """The weights of a profile's base as it is trained: in the width and the bits that the profile asks for.

    sharded: they stay in RAM, from where FSDP2 takes them to the GPUs.
    """
    bits = 4 if profile.model.load_in_4bit else 8 if profile.model.load_in_8bit else 16
    training = profile.training
    if sharded and bits == 16:
        return _from(
            AutoModelForCausalLM, base, "model", dtype=dtype_for(device, bf16=training.bf16, fp16=training.fp16)
        )
    return load_model(base, bf16=training.bf16, fp16=training.fp16, device=device, bits=bits)


def load_model(base: str, *, bf16: bool | None, device: str, fp16: bool = False, bits: int = 16) -> Any:
    """The base's weights on `device`, in 8 or 4 bits (bitsandbytes) where `bits` says so.

    Raises BadInput when there are none.
    """
    dtype = dtype_for(device, bf16=bf16, fp16=fp16)
    if bits == 16:
        return _from(AutoModelForCausalLM, base, "model", dtype=dtype).to(device)
    model = _from(
        AutoModelForCausalLM,
        base,
        "model",
        dtype=dtype,
        quantization_config=_quantized(bits, dtype),
        device_map={"": torch.cuda.current_device() if device == "cuda" else device},
    )
    return _never_packed(model)


def _never_packed(model: Any) -> Any:
    """A 4-bit base that stays as it was quantised.

    On a CPU with avx512_bf16 bitsandbytes packs the weights anew whenever they are evaluated, and back when they are
    trained; that rounds their scales each time, and fails for matrices narrower than a scale's block.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    return model


def dtype_for(device: str, *, bf16: bool | None, fp16: bool = False) -> torch.dtype:
    """What the base is held and computed in on `device`."""
    return getattr(torch, width_for(device, bf16=bf16, fp16=fp16))


def width_for(device: str, *, bf16: bool | None, fp16: bool = False) -> Width:
    """The name of it."""
    gpu = device.startswith("cuda")
    return base_width(
        bf16=bf16,
        fp16=fp16,
        gpu=gpu,
        gpu_bf16=gpu and torch.cuda.is_bf16_supported(),
        cpu_bf16=device == "cpu" and has_fast_bf16(),
    )


def _quantized(bits: int, dtype: torch.dtype) -> Any:
    """nf4 with quantised constants (Dettmers et al. 2023), or LLM.int8."""
    from transformers import BitsAndBytesConfig

    if bits == 8:
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )


def device_here() -> str:
    """ "cuda", "mps" or "cpu"."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def room(device: str) -> int:
    """Bytes of memory of one GPU; 0 where there is none."""
    return int(torch.cuda.get_device_properties(0).total_memory) if device == "cuda" else 0


def device_name(device: str) -> str:
    """What to call the device on a screen."""
    if device == "cuda":
        return str(torch.cuda.get_device_name(0))
    return f"{device}, {torch.get_num_threads()} threads" if device == "cpu" else device


def load_adapter(model: Any, adapter: str) -> Any:
    """`model` with a PEFT adapter on it. Raises BadInput when it is none or does not fit."""
    from peft import PeftModel

    if not (Path(adapter) / "adapter_config.json").is_file():
        raise BadInput("there is no adapter here", where=adapter, fix="It is the folder with adapter_config.json.")
    try:
        make_room_for_adapter(model, adapter)
        return PeftModel.from_pretrained(model, adapter)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise BadInput(f"the adapter does not fit this base: {_first_line(error)}", where=adapter) from error


def has_tokenizer(adapter: str) -> bool:
    """Whether the adapter was trained with new tokens, which its own tokenizer knows."""
    return bool(adapter) and (Path(adapter) / TOKENIZER).is_file()


def versions() -> dict[str, str]:
    """The versions of the libraries whose behaviour a run depends on."""
    return {name: version(name) for name in ("torch", "transformers", "trl", "peft", "accelerate")}


def _from(auto: Any, base: str, what: str, **options: Any) -> Any:
    """`from_pretrained`, which never asks the network about a folder."""
    folder = Path(base).expanduser()
    local = folder.is_dir()
    if not local and (folder.is_absolute() or base.startswith((".", "~"))):
        raise BadInput("there is no base model here", where=base, fix="Give an existing folder or a Hugging Face id.")
    try:
        return auto.from_pretrained(str(folder) if local else base, local_files_only=local, **options)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        fix = "" if local else "Give an existing folder, or a Hugging Face id this machine can download."
        kind = BadInput if local or isinstance(error, ValueError) else LoraTuiError
        raise kind(f"cannot load the base's {what}: {_first_line(error)}", where=base, fix=fix) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
