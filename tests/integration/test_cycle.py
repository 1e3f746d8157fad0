"""A cycle as a person has it every night: with a tiny base that is really trained, compared and promoted."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import serving_sets
from lora_tui.adapters import aliases, registry
from lora_tui.cli.main import run as command_line
from lora_tui.curation import examples, labels
from lora_tui.curation.examples import Filter
from lora_tui.cycle.earlier import cycles
from lora_tui.cycle.starting import begin
from lora_tui.dataset import stored, versions
from lora_tui.demo.opencode_db import write_database
from lora_tui.jobs import journal, supervisor
from lora_tui.jobs.job import Cycle, Train
from lora_tui.jobs.supervisor import Run
from lora_tui.jobs.view import RunView
from lora_tui.sources.ingest import ingest
from lora_tui.workspace.layout import Workspace
from tiny_models import TinyModels

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]

THINGS = (
    *("river", "stone", "window", "garden", "letter", "engine", "bridge", "candle", "forest", "island", "mirror"),
    *("needle", "orange", "pencil", "rocket", "saddle", "temple", "valley", "wallet", "zipper", "anchor", "basket"),
    *("cactus", "desert", "eagle", "feather", "guitar", "hammer", "jacket", "kettle", "ladder", "magnet", "nickel"),
    *("oyster", "parrot", "quartz", "ribbon", "shovel", "tunnel", "urchin", "violin", "walnut", "yellow", "zebra"),
)
GOOD, BAD = "Surely: {0} it is, {0} number {1}.", "Never {0} nor {0} {1} nonsense."
RUST = "```rust\nfn {0}() -> i32 {{\n    let number = {1};\n    number\n}}\n```"
SUITE = """
description: Does it say Surely
prompts: ["{{prompt}}"]
defaultTest:
  assert: [{type: starts-with, value: "Surely"}]
tests:
"""
PROFILE = """
name = "sure"

[model]
base = "BASE"

[data]
context = 0
repository_share = 1

[lora]
r = 8
lora_alpha = 16

[training]
num_train_epochs = EPOCHS
per_device_train_batch_size = 4
gradient_accumulation_steps = 1
learning_rate = 8e-3
max_length = 128
bf16 = false
save_steps = 5

[forgetting]
measure = false
replay_share = 0.05

[verification]
suite = "sure"
max_tokens = 12
while_training = 0
gates = ["measured success >= 75 %", "measured difference >= 0 points"]
"""


def chats(things: Sequence[str], answer: str, first: int = 0, ask: str = "Say {0} {1}.") -> list[dict[str, Any]]:
    """A session about each thing, on days that follow each other."""
    return [
        {
            "title": f"About a {thing}",
            "directory": f"/home/mira/code/{thing}",
            "agent": "build",
            "model": "lab/model",
            "created": 1_788_000_000_000 + (first + number) * 86_400_000,
            "turns": [
                {"user": ask.format(thing, thing[::-1]), "steps": [{"text": answer.format(thing, first + number)}]}
            ],
        }
        for number, thing in enumerate(things)
    ]


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """The agent's database with twelve sessions."""
    write_database(tmp_path / "opencode.db", chats(THINGS[:12], GOOD))
    return tmp_path / "opencode.db"


@pytest.fixture
def sure(workspace: Workspace, tiny_models: TinyModels, history: Path) -> Workspace:
    """A workspace with a profile and a suite, into which the history was read and its examples accepted."""
    prompts = ("What is your name?", "Hello", "Say yes.", "Who are you?")
    cases = "".join(f'  - vars: {{prompt: "{prompt}"}}\n' for prompt in prompts)
    (workspace.profiles / "suites").mkdir()
    (workspace.profiles / "suites" / "sure.yaml").write_text(SUITE + cases)
    profile = PROFILE.replace("BASE", str(tiny_models.base)).replace("EPOCHS", "12")
    (workspace.profiles / "sure.toml").write_text(profile)
    ingest(workspace, "opencode", [history])
    examples.refresh(workspace)
    accept(workspace)
    return workspace


def accept(workspace: Workspace) -> int:
    """A person accepts everything that waits."""
    waiting = examples.ids(workspace, Filter(decision="unlabelled"))
    labels.decide(workspace, waiting, "accept", author="mira")
    return len(waiting)


def recorded(history: Path, *sessions: list[dict[str, Any]]) -> None:
    """The agent has recorded further sessions."""
    history.unlink()
    write_database(history, [one for some in sessions for one in some])


def cycled(workspace: Workspace) -> RunView:
    """A cycle to its end."""
    run, _ = begin(workspace, Cycle(profile="sure"))
    assert supervisor.wait(run, 600)
    return RunView.of(run)


def until(condition: Callable[[], Any], seconds: float = 300) -> None:
    """Wait for `condition`, or fail."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a folder with its bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def rows(workspace: Workspace, label: str, split: str) -> set[str]:
    """The ids of a split's rows."""
    return {row.id for row in stored.rows(versions.find(workspace, label), split)}


def trainings(workspace: Workspace) -> list[Run]:
    """The training runs, newest first."""
    return [run for run in supervisor.runs(workspace) if isinstance(run.file.job, Train)]


def test_a_dry_run_says_what_every_step_would_do_and_changes_no_byte(
    sure: Workspace, history: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded(history, chats(THINGS[:12], GOOD), chats(THINGS[12:15], GOOD, 12))
    sure.close()
    before, agents = content(sure.root), content(history.parent)
    assert command_line(["--workspace", str(sure.root), "cycle", "sure", "--dry-run", "--json"]) == 0
    assert content(sure.root) == before
    assert content(history.parent) == agents
    steps = {step["step"]: step for step in json.loads(capsys.readouterr().out)["steps"]}
    said = {name: "\n".join(step["said"]) for name, step in steps.items()}
    assert list(steps) == ["ingest", "accept", "dataset", "plan", "train", "verify", "promote", "opencode"]
    assert "3 new sessions, 0 changed, 3 examples new" in said["ingest"]
    assert "3 examples of any language not decided about; nothing is accepted without a person" in said["accept"]
    assert said["dataset"].startswith("sure@1: 10 train, 1 validation, 1 test")
    assert "10 to train on" in said["plan"]
    assert "memory: about" in said["plan"]
    assert "sure, 4 prompts, against the base" in said["verify"]
    assert "gate measured success >= 75 %" in said["verify"]
    assert "nothing is in production" in said["promote"]
    assert str(sure.root) not in "".join(said.values())


def test_what_nobody_accepted_is_not_trained_on_and_a_rule_of_the_profile_accepts_what_it_says(
    sure: Workspace, history: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels.decide(sure, examples.ids(sure, Filter(decision="accept")), "reject", author="mira")
    recorded(
        history, chats(THINGS[:12], GOOD), chats(THINGS[12:15], RUST, 12, "In src/{0}.rs, write the Rust function {0}.")
    )
    view = cycled(sure)
    assert isinstance(view.last_word, journal.Finished)
    assert view.last_word.output == "nothing new"
    assert view.steps_taken["ingest"].said == ("3 new sessions, 0 changed, 3 examples new or changed",)
    assert view.steps_taken["dataset"].said == ("no accepted example of any language: there is nothing to train on",)
    assert "no accepted example" in (view.run.folder / "cycle.md").read_text()
    assert trainings(sure) == []
    assert versions.versions(sure) == []
    profile = sure.profiles / "sure.toml"
    profile.write_text(profile.read_text() + "\n[cycle]\naccept_confidence = 0.01\n")
    said = command_line(["--workspace", str(sure.root), "cycle", "sure", "--dry-run"]), capsys.readouterr().out
    assert said[0] == 0
    assert "3 examples accepted by the profile's rule" in said[1]
    assert examples.ids(sure, Filter(decision="unlabelled")), "the dry run accepted nothing for good"


def test_better_versions_are_promoted_and_poisoned_examples_leave_production_as_it_was(
    sure: Workspace, tiny_models: TinyModels, history: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = cycled(sure)
    assert first.steps_taken["promote"].made == "sure@1.0.0", page(first)
    assert aliases.target(sure, "sure", aliases.PRODUCTION) == "1.0.0"
    assert registry.find(sure, "sure@1.0.0").metadata.parents == ()
    settings = tmp_path / "opencode.json"
    with serving_sets.serving(sure, tiny_models.base, ["sure"]) as served:
        wiring = ["opencode", "apply", "--config", str(settings), "--no-check", "--yes"]
        assert command_line(["--workspace", str(sure.root), *wiring]) == 0

        recorded(history, chats(THINGS[:12], GOOD), chats(THINGS[12:18], GOOD, 12))
        ingest(sure, "opencode", [history])
        examples.refresh(sure)
        assert accept(sure) == 6
        second = cycled(sure)
        assert second.steps_taken["promote"].made == "sure@1.1.0", page(second)
        made = registry.find(sure, "sure@production").metadata
        assert (made.version, made.parents, made.dataset) == ("1.1.0", ("sure@1.0.0",), "sure@2")
        job = trainings(sure)[0].file.job
        assert isinstance(job, Train)
        assert (job.profile.forgetting.replay, job.start_name) == ("stored", "sure@1.0.0")
        assert rows(sure, "sure@1", "test") <= rows(sure, "sure@2", "test")
        assert "of sure@1's test 1 of 1 are still accepted, and stay in test" in page(second)
        assert "adapter:sure@1.0.0 4 of 4" in page(second)
        answer = serving_sets.said(serving_sets.chat(served, "sure"))
        assert answer.startswith("Surely")
        assert served.state is not None
        assert served.state.names == {"sure": "sure@1.1.0"}

        assert command_line(["--workspace", str(sure.root), "rollback", "sure"]) == 0
        back = cycled(sure)
        assert "trained on just this and was taken back since" in back.steps_taken["dataset"].said[-1]
        assert aliases.target(sure, "sure", aliases.PRODUCTION) == "1.0.0"
        assert command_line(["--workspace", str(sure.root), "rollback", "sure"]) == 0

        nothing = cycled(sure)
        assert isinstance(nothing.last_word, journal.Finished)
        assert nothing.last_word.output == "nothing new"
        assert len(trainings(sure)) == 2
        assert len(versions.versions(sure)) == 2

        good = [chats(THINGS[:12], GOOD), chats(THINGS[12:18], GOOD, 12)]
        recorded(history, *good, chats([thing + "s" for thing in THINGS], BAD, 18))
        ingest(sure, "opencode", [history])
        examples.refresh(sure)
        assert accept(sure) == len(THINGS)
        names = (sure.adapters / "aliases.json").read_bytes()
        written = settings.read_bytes()
        capsys.readouterr()
        assert command_line(["--workspace", str(sure.root), "cycle", "sure", "--json"]) == 1
        said = json.loads(capsys.readouterr().out)
        assert said["outcome"] == "not promoted", said
        assert [step["outcome"] for step in said["steps"]][-2:] == ["done", "refused"]
        assert "**Nothing was promoted: 2 gates not passed.**" in Path(said["page"]).read_text()
        assert trainings(sure)[0].file.job.start_name == "sure@1.1.0"
        assert (sure.adapters / "aliases.json").read_bytes() == names
        assert settings.read_bytes() == written
        assert served.state.names == {"sure": "sure@1.1.0"}
        assert serving_sets.said(serving_sets.chat(served, "sure")) == answer

        again = cycled(sure)
        assert isinstance(again.last_word, journal.Finished)
        assert again.last_word.output == "nothing new"
        assert f"{said['id']} trained on just this and was not promoted" in again.steps_taken["dataset"].said[-1]
        assert supervisor.find(sure, "latest").id == again.run.id
        assert len(trainings(sure)) == 3


def page(view: RunView) -> str:
    """What a cycle reports, or why it failed."""
    path = view.run.folder / "cycle.md"
    return path.read_text() if path.is_file() else view.failure


def test_killed_stopped_or_failed_at_any_step_it_goes_on_and_does_nothing_twice(sure: Workspace) -> None:
    job = Cycle(profile="sure")
    suite = sure.profiles / "suites" / "sure.yaml"
    asked = suite.read_text()
    run, goes_on = begin(sure, job)
    assert not goes_on
    training, verification = (supervisor.part(run, kind) for kind in ("train", "verify"))

    def went_on() -> None:
        assert supervisor.wait(run, 30)
        assert begin(sure, job) == (run, True)

    until(lambda: "dataset" in RunView.of(run).steps_taken)
    supervisor.kill(run)
    went_on()
    until(lambda: (training / "checkpoints").is_dir() and any((training / "checkpoints").iterdir()))
    supervisor.kill(run)
    went_on()
    until(lambda: len(RunView.of(Run(training, trainings(sure)[0].file)).checkpoints) > 1)
    supervisor.stop(run)
    assert supervisor.wait(run, 60)
    stopped = RunView.of(run)
    if stopped.state != "finished":  # it may have been quicker
        assert stopped.state == "stopped"
        went_on()
    suite.write_text("tests: none\n")
    until(lambda: "train" in RunView.of(run).steps_taken)
    assert supervisor.wait(run, 60)
    failed = RunView.of(run)
    if "verify" not in failed.steps_taken:  # it may have read the suite before
        assert failed.state == "failed"
        assert "sure.yaml" in failed.failure
        suite.write_text(asked)
        went_on()
    until(lambda: verification.is_dir() and (verification / "journal.jsonl").is_file())
    supervisor.kill(run)
    went_on()
    assert supervisor.wait(run, 300)
    view = RunView.of(run)
    assert view.state == "finished", page(view)
    assert view.steps_taken["promote"].made == "sure@1.0.0", page(view)
    assert [dataset.label for dataset in versions.versions(sure)] == ["sure@1"]
    assert [item.label for item in registry.adapters(sure)] == ["sure@1.0.0"]
    kinds = sorted(found.id.split("-")[2] for found in supervisor.runs(sure))
    assert kinds == ["cycle", "train", "verify"]
    promoted = [move for move in aliases.history(sure, "sure") if move.alias == aliases.PRODUCTION]
    assert [move.version for move in promoted] == ["sure@1.0.0"]
    assert [found.run.id for found in cycles(sure, "sure")] == [run.id]
