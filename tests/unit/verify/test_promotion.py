"""What a profile asks of a version before it is promoted: by its newest report, or by force."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from adapter_folders import factors, write_adapter
from judged_reports import judged
from lora_tui.adapters import aliases, registry
from lora_tui.adapters.metadata import Metadata
from lora_tui.cli.main import run
from lora_tui.jobs.job import Verify
from lora_tui.verify.promotion import reasons_against
from lora_tui.verify.reports import files as report_files
from lora_tui.verify.reports import report as reports
from lora_tui.verify.reports.gates import evaluate
from lora_tui.verify.running.run import create
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace

P, F = [True], [False]
PROFILE = 'name = "mine"\nextends = "tiny"\n[verification]\nsuite = "dozen"\ngates = [{}]\n'


@pytest.fixture
def trained(workspace: Workspace, tmp_path: Path) -> registry.Adapter:
    """coder@1.0.0, trained by a profile that asks for two gates."""
    _gates(workspace, '"better", "forgetting <= 0.1"')
    folder = write_adapter(tmp_path / "draft", factors({"layers.0.q_proj": (8, 6)}, 2), r=2)

    def fill(draft: Path) -> None:
        for path in folder.iterdir():
            (draft / path.name).write_bytes(path.read_bytes())

    about = Metadata(name="coder", base="lab/base", profile="mine", general_loss_before=2.0, general_loss=2.05)
    return registry.add(workspace, about, fill)


def _gates(workspace: Workspace, gates: str) -> None:
    (workspace.profiles / "mine.toml").write_text(PROFILE.format(gates))


def _report(
    workspace: Workspace, better: int, created: float, suite: str = "dozen", label: str = "coder@1.0.0"
) -> None:
    rows = [P] * better + [F] * (20 - better)
    made = judged(
        [F] * 20, rows, endpoints={"tuned": f"adapter:{label}"}, identity=f"r{created:g}", suite=Path(f"{suite}.yaml")
    )
    report_files.write(msgspec.structs.replace(made, created=created), workspace.reports / made.id)


def test_the_newest_report_about_it_on_the_profiles_suite_must_pass_every_gate(
    workspace: Workspace, trained: registry.Adapter
) -> None:
    (reason,) = reasons_against(workspace, trained)
    assert "lora-tui verify --profile mine --baseline base:lab/base --tuned adapter:coder@1.0.0" in reason
    _report(workspace, 12, 1.0, label="other@1.0.0")
    _report(workspace, 12, 2.0, suite="easy")
    assert reasons_against(workspace, trained) == [reason]
    _report(workspace, 12, 3.0)
    assert reasons_against(workspace, trained) == []
    _report(workspace, 2, 4.0)
    (reason,) = reasons_against(workspace, trained)
    assert reason.startswith("the gate better is undecided: +10.0 points, 2 better, 0 worse of 20")
    assert reason.endswith("(report r4)")
    _gates(workspace, '"measured difference >= 20 points", "forgetting <= 0.01"')
    assert [reason.partition(":")[0] for reason in reasons_against(workspace, trained)] == [
        "the gate measured difference >= 20 points failed",
        "the gate forgetting <= 0.01 failed",
    ]
    _gates(workspace, "")
    assert reasons_against(workspace, trained) == []


def test_gates_that_cannot_be_read_promote_nothing(workspace: Workspace, trained: registry.Adapter) -> None:
    _report(workspace, 12, 1.0)
    _gates(workspace, '"beter"')
    (reason,) = reasons_against(workspace, trained)
    assert "'beter' is no gate" in reason
    (workspace.profiles / "mine.toml").write_text("name = ")
    (reason,) = reasons_against(workspace, trained)
    assert reason.startswith("its profile's gates cannot be read")


def test_an_alias_is_no_way_around_the_gates(
    workspace: Workspace, trained: registry.Adapter, capsys: pytest.CaptureFixture[str]
) -> None:
    def tagged(*more: str) -> int:
        return run(["--workspace", str(workspace.root), "adapters", "tag", trained.label, "production", *more])

    assert tagged() == 2
    said = capsys.readouterr().err
    assert "no report shows whether it passes the gates of its profile" in said
    assert "--force" in said
    assert aliases.aliases(workspace) == {}
    assert tagged("--force") == 0
    assert aliases.aliases(workspace)["coder"]["production"] == trained.label
    assert tagged("--remove") == 0


def test_a_version_without_effect_is_not_promoted_by_a_gate_it_cannot_miss(
    workspace: Workspace, trained: registry.Adapter
) -> None:
    _gates(workspace, '"difference > -15 points"')
    rows = [P] * 40
    made = judged(rows, rows, endpoints={"tuned": f"adapter:{trained.label}"}, answer={"text": "the same words"})
    report_files.write(made, workspace.reports / made.id)
    (reason,) = reasons_against(workspace, trained)
    assert "word for word" in reason


def test_promote_refuses_with_the_gate_and_its_value_force_overrides_and_rollback_never_asks(
    workspace: Workspace, trained: registry.Adapter, capsys: pytest.CaptureFixture[str]
) -> None:
    _report(workspace, 2, 1.0)

    def typed(*words: str) -> int:
        return run(["--workspace", str(workspace.root), *words])

    assert typed("promote", trained.label) == 2
    assert "the gate better is undecided: +10.0 points" in capsys.readouterr().err
    assert typed("promote", trained.label, "--force", "--json") == 0
    done = json.loads(capsys.readouterr().out)
    assert done["version"] == trained.label
    assert "the gate better is undecided" in done["warnings"][0]


def test_a_comparison_is_about_the_version_that_a_name_meant_when_it_began(
    workspace: Workspace, trained: registry.Adapter, tmp_path: Path
) -> None:
    suite = tmp_path / "dozen.yaml"
    suite.write_text("tests:\n  - {vars: {prompt: hello}, assert: [{type: contains, value: good}]}\n")
    started = create(workspace, str(suite), "base:lab/base", "adapter:coder", gates=["better"])
    assert isinstance(started.file.job, Verify)
    assert started.file.job.tuned == "adapter:coder@1.0.0"
    with pytest.raises(BadInput, match="'beter' is no gate"):
        create(workspace, str(suite), "base:lab/base", "adapter:coder", gates=["beter"])


def test_a_report_on_the_suite_before_it_was_changed_or_on_another_of_its_name_promotes_nothing(
    workspace: Workspace, trained: registry.Adapter, tmp_path: Path
) -> None:
    (workspace.profiles / "suites").mkdir(exist_ok=True)
    suite = workspace.profiles / "suites" / "dozen.yaml"
    suite.write_text("tests: [{vars: {prompt: hello}}]\n")
    easy = tmp_path / "dozen.yaml"
    easy.write_text("tests: [{vars: {prompt: easy}}]\n")
    for created, path in ((1.0, suite), (2.0, easy)):  # an easy one of the same name hides nothing
        made = judged([F] * 20, [P] * 20, endpoints={"tuned": "adapter:coder@1.0.0"}, identity="r", suite=path)
        made = msgspec.structs.replace(made, id=f"r{created:g}", created=created)
        report_files.write(made, workspace.reports / made.id)
    assert reasons_against(workspace, trained) == []
    suite.write_text("tests: [{vars: {prompt: hello, harder: yes}}]\n")
    (reason,) = reasons_against(workspace, trained)
    assert reason.startswith("the suite dozen is another now than in report r2 (`lora-tui verify --profile mine ")


def test_a_version_that_was_compared_with_itself_has_proven_nothing_and_loses_nothing(
    workspace: Workspace, trained: registry.Adapter
) -> None:
    _gates(workspace, '"difference > -20 points"')
    both = {"baseline": "adapter:coder@1.0.0", "tuned": "adapter:coder@1.0.0"}
    noise = judged([P] * 40, [P] * 40, endpoints=both, identity="noise")
    report_files.write(msgspec.structs.replace(noise, created=5.0), workspace.reports / noise.id)
    (reason,) = reasons_against(workspace, trained)
    assert reason.startswith("no report shows whether it passes")
    _report(workspace, 12, 1.0)
    assert reasons_against(workspace, trained) == []


def test_a_version_whose_profile_is_gone_must_pass_the_gates_that_it_was_verified_with(
    workspace: Workspace, trained: registry.Adapter
) -> None:
    (workspace.profiles / "mine.toml").unlink()
    assert reasons_against(workspace, trained) == []
    _report(workspace, 2, 1.0)
    found = reports.load(workspace.reports / "r1")
    gates = evaluate(workspace, found, ["better"])
    report_files.write(msgspec.structs.replace(found, gates=gates), workspace.reports / "r1")
    (reason,) = reasons_against(workspace, trained)
    assert reason.startswith("the gate better is undecided")
    _report(workspace, 12, 2.0)
    assert reasons_against(workspace, trained) == []


def test_a_second_chance_and_a_verdict_of_its_own_promote_nothing(
    workspace: Workspace, trained: registry.Adapter
) -> None:
    _report(workspace, 12, 1.0)
    found = reports.load(workspace.reports / "r1")
    again = [msgspec.structs.replace(one, asked_again=int(number < 2)) for number, one in enumerate(found.outcomes)]
    itself = msgspec.structs.replace(found.sides[1], label=reports.JUDGE)
    report_files.write(
        msgspec.structs.replace(found, outcomes=tuple(again), judge=itself), workspace.reports / found.id
    )
    assert reasons_against(workspace, trained) == [
        "2 prompts were asked again alone, and a second chance proves nothing: verify it anew (report r1)",
        "it judged itself: verify it with another --judge (report r1)",
    ]
    other = msgspec.structs.replace(itself, endpoint="openai:http://127.0.0.1:2/v1#judge", model="judge", digest="d")
    report_files.write(msgspec.structs.replace(found, judge=other), workspace.reports / found.id)
    assert reasons_against(workspace, trained) == []


def test_no_older_report_passes_for_a_newer_one_that_cannot_be_read(
    workspace: Workspace, trained: registry.Adapter, capsys: pytest.CaptureFixture[str]
) -> None:
    _report(workspace, 12, 2.0)
    _report(workspace, 2, 1.0)
    (workspace.reports / "r1" / "report.json").write_text("{")  # it is older
    _report(workspace, 2, 3.0, label="other@1.0.0")
    _report(workspace, 2, 4.0, suite="easy")
    for identity in ("r3", "r4"):  # not about it, or about something else
        (workspace.reports / identity / "report.json").write_text("{")
    assert reasons_against(workspace, trained) == []
    _report(workspace, 2, 5.0)
    damaged = workspace.reports / "r5" / "report.json"
    damaged.write_bytes(damaged.read_bytes()[:-100])
    (reason,) = reasons_against(workspace, trained)
    assert reason == f"a newer report cannot be read: verify it anew, or remove {damaged.parent}"
    (damaged.parent / "report.md").unlink()
    assert reasons_against(workspace, trained) == [reason]
    assert run(["--workspace", str(workspace.root), "reports", "list", "--json"]) == 0
    said = capsys.readouterr()
    assert [one["id"] for one in json.loads(said.out)] == ["r2"]
    assert said.err.count("cannot be read, and is not listed") == 4
    _report(workspace, 12, 6.0)
    assert reasons_against(workspace, trained) == []
