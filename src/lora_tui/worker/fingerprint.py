"""What a run that goes on from a checkpoint must have in common with the run that made it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from lora_tui.jobs.job import Train

_ENDS = 1 << 16  # bytes read at both ends of a file of weights
# What may differ: it is told, saved or looked at otherwise, and trains nothing else.
_HARMLESS = frozenset(
    f"training.{key}"
    for key in (
        "logging_steps",
        "eval_steps",
        "save_steps",
        "save_total_limit",
        "early_stopping_patience",
        "early_stopping_threshold",
        "load_best_model_at_end",
        "stop_on",
        "oom_retries",
        "report_to",
        "parallel",
        "threads",
        "nice",
        "per_device_train_batch_size",  # their product counts: training.batch
        "gradient_accumulation_steps",
    )
) | {"forgetting.general", "forgetting.measure"}


def fingerprint(job: Train, folder: Path) -> dict[str, str]:
    """Every setting that the weights depend on, by its name in the profile, and what the data and the base are."""
    profile = job.profile
    found: dict[str, str] = {}
    for part in ("lora", "training", "forgetting"):
        fields = msgspec.to_builtins(getattr(profile, part))
        found |= {f"{part}.{key}": _text(value) for key, value in fields.items()}
    found |= {
        "model.load_in_4bit": _text(profile.model.load_in_4bit),
        "model.load_in_8bit": _text(profile.model.load_in_8bit),
        "training.batch": _text(
            profile.training.per_device_train_batch_size * profile.training.gradient_accumulation_steps
        ),
        "the base": base_identity(job.base),
        "the dataset": job.dataset_hash or _digest([(folder / job.dataset / "train.jsonl").read_bytes()]),
        "the adapter it began with": job.start_name or job.start_from,
        "the rows left out": _digest([row.encode() for row in sorted(job.known)]) if job.known else "",
    }
    return {key: value for key, value in found.items() if key not in _HARMLESS}


def base_identity(base: str) -> str:
    """A digest of a base folder: its configuration, and of its weights the sizes and both ends; else the id itself."""
    folder = Path(base).expanduser()
    return _digest(_base_parts(folder)) if folder.is_dir() else base


def differences(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """What changed, in words. A setting that an older checkpoint did not know yet is none of its run's."""
    said: list[str] = []
    for key in sorted(before.keys() | now.keys()):
        old, new = before.get(key), now.get(key)
        if old == new or old is None or (new is None and old in _UNSET):
            continue
        if key.startswith("the "):
            said.append(f"{key} is another")
        else:
            said.append(f"{key} was {old}, is {new or 'not there'}")
    return said


_UNSET = ("", "0", "0.0", "false", "[]", "{}", "null", '""')


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _base_parts(folder: Path) -> Iterator[bytes]:
    yield (folder / "config.json").read_bytes() if (folder / "config.json").is_file() else b""
    for path in sorted([*folder.glob("*.safetensors"), *folder.glob("*.bin")]):
        size = path.stat().st_size
        yield f"{path.name} {size}".encode()
        with path.open("rb") as file:
            yield file.read(_ENDS)
            file.seek(max(0, size - _ENDS))
            yield file.read(_ENDS)


def _digest(parts: Iterator[bytes] | list[bytes]) -> str:
    whole = hashlib.sha256()
    for part in parts:
        whole.update(hashlib.sha256(part).digest())
    return whole.hexdigest()[:16]
