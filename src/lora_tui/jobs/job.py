"""What a job is to do: job.toml in its run folder, readable by the worker here or on another machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

from lora_tui.jobs.merging import Recipe, Source
from lora_tui.workspace import toml
from lora_tui.workspace.profiles import Profile


class Prompt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A prompt to answer while training, with a suite's expectations as (type, value) where it has any."""

    prompt: str
    expectations: tuple[tuple[str, Any], ...] = ()


class Together(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="together", tag_field="backend"):
    """Trained by Together AI, by its own engine."""

    model: str  # one of its bases
    from_hf_model: str = ""  # whose weights it begins with, in the shape of `model`
    n_evals: int = 0
    n_checkpoints: int = 1
    suffix: str = ""
    max_price: float = 0.0  # USD; what it may cost as Together reckons it before it starts; 0: any


class Box(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="box", tag_field="backend"):
    """Trained by our own worker on a machine that is reached by SSH: one's own, or one rented for the run."""

    provider: Literal["host", "runpod", "vast"]
    host: str = ""  # its name in config.toml, where it is one's own
    gpu: str = ""  # what to rent, as the provider names it
    memory_gb: float = 0.0  # of each GPU that is rented, at least
    gpus: int = 1
    max_price: float = 0.0  # USD an hour; nothing dearer is rented
    max_hours: float = 0.0  # after which it is given back whatever it does
    upload_to_together: bool = False  # register the adapter there when it is back


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
    elsewhere: Together | Box | None = None  # None: on this machine


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
    """Ask every prompt of a suite of two or more endpoints and check the answers; or one free prompt, without a report.

    Endpoints are written as typed: base:PATH, adapter:NAME@V, ollama:MODEL, vllm:URL#MODEL, …
    """

    suite: str  # the suite file; empty with a free prompt
    baseline: str
    tuned: str
    report: str  # folder the report is written to
    max_tokens: int = 256
    others: tuple[str, ...] = ()  # further endpoints beside the two that are compared
    prompt: str = ""  # the free prompt
    samples: int = 0  # of each prompt; 0: as many as the suite says
    temperature: float | None = None  # None: greedy with one sample of each prompt, else 0.7
    seed: int = 0
    at_once: int = 0  # requests in flight per endpoint; 0: as many as it takes
    timeout: float = 0.0  # seconds without a byte after which an endpoint counts as hung; 0: by `endpoints.Patience`
    fresh: bool = False  # take no answer kept from an earlier run
    gates: tuple[str, ...] = ()  # as typed: "success >= 98 %"
    profile: str = ""  # whose gates they are
    judge: str = ""  # the endpoint that reads what llm-rubric asks; empty: nobody


class Merge(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="merge", tag_field="kind"):
    """Merge adapters into a new version of `name`, or into the folder `output`."""

    sources: tuple[Source, ...]
    recipe: Recipe
    name: str = ""
    output: str = ""


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


class Cycle(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="cycle", tag_field="kind"):
    """From what is new in the agents' histories to a promoted adapter; its training and verification are own runs."""

    profile: str  # its name or file, as typed
    dataset: str = ""  # name of the dataset; empty: that of the version in production, else the profile's name
    paths: tuple[str, ...] = ()  # histories to read beside those that were read before
    fresh: bool = False  # a fresh adapter, also where a version is in production
    again: bool = False  # also where nothing is new


class Export(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="export", tag_field="kind"):
    """Write a base with an adapter for other programs, and compare what they make of it with what it was."""

    what: Literal["merged", "gguf", "ollama"]
    base: str  # its folder
    adapter: str = ""  # its folder; empty: the base alone
    adapter_name: str = ""  # as people name it
    base_name: str = ""
    output: str = ""  # the folder or file to be; empty where Ollama takes it
    type: str = ""  # how weights are stored: "bf16", "q8_0", "Q4_K_M"; empty: as the base has them
    adapter_only: bool = False  # a GGUF of the adapter alone; for Ollama: base and adapter as two layers
    model: str = ""  # its name at Ollama
    host: str = ""  # Ollama's address
    system: str = ""  # of the Ollama model
    parameters: tuple[tuple[str, str], ...] = ()  # of the Ollama model, as a Modelfile's PARAMETER


Job = Train | Audit | Measure | Probe | TinyBase | Verify | Merge | Export | Foreign | Sweep | Cycle


class JobFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """job.toml."""

    id: str
    title: str  # what lists show: "tiny on rust@1"
    created: float  # epoch seconds
    workspace: str  # the workspace it belongs to; empty on another machine
    job: Job


def load_job(path: Path) -> JobFile:
    """Read job.toml; paths into its workspace follow it where that was moved as a whole. Raises BadInput."""
    file = toml.load(path, JobFile)
    runs = path.absolute().parent.parent
    here = str(runs.parent)
    if runs.name != "runs" or file.workspace in ("", here) or Path(file.workspace).exists():
        return file
    return msgspec.convert(_rebased(msgspec.to_builtins(file), file.workspace, here), JobFile)


def _rebased(data: Any, old: str, new: str) -> Any:
    if isinstance(data, dict):
        return {name: _rebased(value, old, new) for name, value in data.items()}
    if isinstance(data, list | tuple):
        return [_rebased(value, old, new) for value in data]
    if isinstance(data, str) and (data == old or data.startswith(f"{old}/")):
        return new + data[len(old) :]
    return data
