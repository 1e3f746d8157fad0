"""The embedded default: the whole loop once, with real parts, on sessions and a model small enough for any machine."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import msgspec

from lora_tui.adapters import registry
from lora_tui.adapters.registry import Adapter
from lora_tui.backends import bases, local
from lora_tui.curation import examples, labels
from lora_tui.curation.examples import Counts, Filter
from lora_tui.dataset import versions
from lora_tui.dataset.model import Dataset
from lora_tui.demo import content
from lora_tui.demo.opencode_db import write_database
from lora_tui.jobs import supervisor
from lora_tui.jobs.job import TinyBase
from lora_tui.jobs.supervisor import Run
from lora_tui.jobs.view import RunView
from lora_tui.sources.ingest import ingest
from lora_tui.verify.reports import report
from lora_tui.verify.reports.report import Report
from lora_tui.verify.running import run as verification
from lora_tui.verify.suites.suite import sample_prompts
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import load_profile

STAGES = 6
AUTHOR = "demo"

WHAT_IT_IS = """\
The tiny model is real: a Qwen2-shaped transformer of two million parameters, trained on this machine on some six
hundred small chats. It is no assistant: it knows those chats and nothing else. The demo proves the loop and not the
model: your labels became weights, and the weights answer differently. For real work, name a real base in a profile."""


class Audience(Protocol):
    """Whoever is watching the demo."""

    def stage(self, number: int, text: str) -> None:
        """A stage begins."""

    def tell(self, text: str) -> None:
        """Something came of it."""

    def watch(self, run: Run) -> RunView:
        """Follow a run until it ended."""
        ...


class Result(msgspec.Struct, frozen=True):
    """What the demo made."""

    adapter: Adapter
    dataset: Dataset
    report: Report
    database: Path


def run(workspace: Workspace, audience: Audience) -> Result:
    """Ingest, label, build, train and verify. Raises LoraTuiError where a stage fails; run again, it goes on."""
    profile = load_profile(workspace, content.PROFILE)

    audience.stage(1, "a tiny base model: tokenizer, chat template, a short training on small chats (about a minute)")
    base = _base(workspace, audience)

    audience.stage(2, "the sessions: written for this demo, in a database with opencode's own schema")
    database = workspace.root / "demo" / "opencode.db"
    write_database(database, content.sessions())
    read = ingest(workspace, "opencode", [database])
    refreshed = examples.refresh(workspace)
    counts = examples.counts(workspace)
    audience.tell(f"{read.new} new sessions, {refreshed.examples} new examples: {_by_language(counts)}")

    audience.stage(3, "labels: every example whose language evidence is sure is accepted, as a person would by `a`")
    accepted = _accept(workspace, profile.data.languages)
    audience.tell(
        f"{accepted} examples of {', '.join(profile.data.languages)} accepted; `lora-tui label --undo` goes back"
    )

    audience.stage(4, "the dataset: an immutable version, split so that no session is in two parts")
    dataset = versions.build(workspace, content.PROFILE, profile.data, profile=profile.name)
    audience.tell(f"{dataset.label}: " + ", ".join(f"{rows} {name}" for name, rows in dataset.manifest.rows.items()))

    audience.stage(5, "training: LoRA with TRL and PEFT, in a process of its own (about a minute)")
    trained = _ended(audience.watch(local.train(workspace, profile, dataset, sample_prompts(workspace, profile))))
    registry.register_finished(workspace)
    adapter = next(item for item in registry.adapters(workspace) if item.metadata.run == trained.run.id)
    audience.tell(f"adapter {adapter.label} in {adapter.folder}")

    audience.stage(6, "verification: the same five prompts to the base and to the fine-tune")
    started = verification.create(
        workspace,
        content.SUITE,
        f"base:{base}",
        f"adapter:{adapter.label}",
        profile.verification.max_tokens,
        gates=profile.verification.gates,
        profile=profile.name,
    )
    supervisor.start(started)
    _ended(audience.watch(started))
    return Result(adapter, dataset, report.load(workspace.reports / started.id), database)


def _base(workspace: Workspace, audience: Audience) -> Path:
    base = bases.demo_base(workspace)
    if (base / "config.json").is_file():
        audience.tell(f"there already: {base}")
        return base
    made = supervisor.create(
        workspace, TinyBase(chats=str(content.chats_path()), output=str(base)), "the tiny base model"
    )
    supervisor.start(made)
    _ended(audience.watch(made))
    return base


def _accept(workspace: Workspace, languages: tuple[str, ...]) -> int:
    found = examples.ids(workspace, Filter(decision="unlabelled", languages=languages, min_confidence=0.6))
    if found:
        labels.decide(workspace, found, "accept", author=AUTHOR, reason="the demo accepts what it brought along")
    return len(examples.ids(workspace, Filter(decision="accept", languages=languages)))


def _ended(view: RunView) -> RunView:
    if view.state != "finished":
        raise LoraTuiError(view.failure or f"the run was {view.state}", where=str(view.run.folder))
    return view


def _by_language(counts: Counts) -> str:
    totals = {language: sum(numbers.values()) for language, numbers in counts.by_language.items()}
    return ", ".join(f"{number} {language}" for language, number in sorted(totals.items(), key=lambda item: -item[1]))
