"""What a job is to do: job.toml in its run folder, readable by the worker here or on another machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

from lora_tui.workspace import toml
from lora_tui.workspace.profiles import Profile


class Prompt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A prompt to answer while training, with a suite's expectations as (type, value) where it has any."""

    prompt: str
    expectations: tuple[tuple[str, Any], ...] = ()


class Train(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="train", tag_field="kind"):
    """Fine-tune `profile.model.base` on a dataset folder; paths are absolute or relative to the run folder."""

    profile: Profile
    base: str  # the resolved base: a folder or a Hugging Face id
    dataset: str  # folder of the dataset version: train.jsonl, validation.jsonl
    dataset_name: str = ""  # as a person names it: "rust@3"
    dataset_hash: str = ""
    samples: tuple[Prompt, ...] = ()  # answered at every evaluation
    allowed: tuple[str, ...] = ()  # errors of the audit that it was started in spite of
    start_from: str = ""  # folder of the adapter it goes on from; empty: a fresh one
    start_name: str = ""  # as a person names it: "tiny@1.0.0"
    known: tuple[str, ...] = ()  # ids of rows that `start_from` was trained on already, and that are left out
    general: str = ""  # chat file to measure forgetting on
    replay: str = ""  # chat file of the replay
    nproc: int = 1  # processes (GPUs) on this machine
    nnodes: int = 1  # machines
    address: str = ""  # of the first of several machines, as the others reach it: "10.0.0.1:29500"
    python: str = ""  # of the environment it trains in, where that is not lora-tui's own
    sweep: str = ""  # the id of the sweep it belongs to
    planned_bytes: int = 0  # what the plan said it would take, at its fullest


class Audit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="audit", tag_field="kind"):
    """Count a dataset with the base's tokenizer and template and look for what should not be trained on."""

    base: str
    dataset: str
    output: str  # the file the audit goes to
    max_length: int
    dataset_hash: str = ""  # of the dataset's manifest: what was counted for it counts for no other content
    tokenizer: str = ""  # fingerprint of the base, as the caller sees it
    batch_size: int = 1
    languages: tuple[str, ...] = ()  # the profile is for; empty: any
    suites: tuple[tuple[str, str], ...] = ()  # suite and a text of it: what must not be trained on


class Measure(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="measure", tag_field="kind"):
    """Count the parameters of a base and of a profile's adapters, without loading a weight, into `output`.

    It is refused for what a run would be refused for: an optimizer or a schedule that does not exist.
    """

    profile: Profile
    base: str
    output: str


class Probe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="probe", tag_field="kind"):
    """Take one real step on the fullest rows of a dataset and write into `output` what it took."""

    profile: Profile
    base: str
    dataset: str
    output: str
    general: str = ""  # chat files, as in Train
    replay: str = ""


class TinyBase(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="tiny-base", tag_field="kind"):
    """Make the demo's tiny base model in `output` from a chat file."""

    chats: str
    output: str
    steps: int = 0  # 0: the default length


class Verify(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="verify", tag_field="kind"):
    """Ask every prompt of a suite of both endpoints and check the answers."""

    suite: str  # the suite file
    baseline: str  # endpoint, as typed: base:PATH, adapter:NAME@V, openai:URL#MODEL
    tuned: str
    report: str  # folder the report is written to
    max_tokens: int = 256


class Foreign(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="foreign", tag_field="kind"):
    """A training that another program runs and that is only watched: its folder, see `jobs/foreign`."""

    path: str


class Trial(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One run of a sweep, and what is different in it: ("training.learning_rate=0.0001", "lora.r=8")."""

    run: str
    settings: tuple[str, ...]


class Sweep(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="sweep", tag_field="kind"):
    """Do training runs one after another and compare them. Each is a run of its own, which is created already."""

    profile: str
    dataset_name: str
    by: Literal["eval_loss", "pass_rate"]  # what makes one the best
    trials: tuple[Trial, ...]


Job = Train | Audit | Measure | Probe | TinyBase | Verify | Foreign | Sweep


class JobFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """job.toml."""

    id: str
    title: str  # what lists show: "tiny on rust@1"
    created: float  # epoch seconds
    workspace: str  # the workspace it belongs to; empty on another machine
    job: Job


def load_job(path: Path) -> JobFile:
    """Read job.toml. Raises BadInput."""
    return toml.load(path, JobFile)
