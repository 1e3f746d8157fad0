"""Gates: passed, failed or undecided, each with what was measured and why; never by luck, never in silence."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapter_folders import factors, write_adapter
from judged_reports import judged
from lora_tui.adapters import registry
from lora_tui.adapters.metadata import Metadata
from lora_tui.jobs.journal import Asked, Fault
from lora_tui.verify.reports import files as report_files
from lora_tui.verify.reports.gates import evaluate
from lora_tui.verify.reports.report import Gate, Report
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import conditions

P, F = [True], [False]


def gate(workspace: Workspace, report: Report, text: str) -> Gate:
    (found,) = evaluate(workspace, report, [text])
    assert found.text == text
    return found


def add(workspace: Workspace, tmp_path: Path, name: str, **about: float | None) -> str:
    """A registered adapter; its label."""
    folder = write_adapter(tmp_path / f"draft-{name}", factors({"layers.0.q_proj": (8, 6)}, 2), r=2)

    def fill(draft: Path) -> None:
        for path in folder.iterdir():
            (draft / path.name).write_bytes(path.read_bytes())

    return registry.add(workspace, Metadata(name=name, base="lab/base", **about), fill).label  # type: ignore[arg-type]


def test_five_of_five_prove_no_98_percent_and_it_says_what_would(workspace: Workspace) -> None:
    found = gate(workspace, judged([F] * 5, [P] * 5), "success >= 98 %")
    assert found.passed is None
    assert found.measured == "100 % (5 of 5)"
    assert found.detail == "95 % interval 56.6 to 100 %; about 184 more prompts needed"
    assert gate(workspace, judged([F] * 189, [P] * 189), "success >= 98 %").passed is True
    assert gate(workspace, judged([F] * 5, [P] * 5), "measured success >= 98 %").passed is True


def test_a_success_gate_fails_where_even_luck_could_not_explain_it(workspace: Workspace) -> None:
    found = gate(workspace, judged([F] * 20, [P] * 10 + [F] * 10), "success >= 98 %")
    assert (found.passed, found.measured) == (False, "50 % (10 of 20)")
    assert gate(workspace, judged([F] * 20, [P] * 19 + [F]), "success >= 98 %").passed is None
    assert gate(workspace, judged([F] * 20, [P] * 19 + [F]), "measured success >= 98 %").passed is False


@pytest.mark.parametrize(("better", "worse", "passed"), [(8, 0, True), (0, 8, False), (3, 0, None), (9, 3, None)])
def test_better_is_the_verdict_of_the_paired_comparison(
    workspace: Workspace, better: int, worse: int, passed: bool | None
) -> None:
    same = 20 - better - worse
    made = judged([F] * better + [P] * worse + [P] * same, [P] * better + [F] * worse + [P] * same)
    for text in ("better", "difference > 0 points"):
        found = gate(workspace, made, text)
        assert (found.passed, found.measured) == (passed, f"{5 * (better - worse):+.1f} points")
        assert f"{better} better, {worse} worse of 20" in found.detail


def test_no_language_may_hide_behind_the_others(workspace: Workspace) -> None:
    """Ruby loses all it had, Rust gains: the mean looks well."""
    before = [P if number % 2 else F for number in range(60)]
    after = [F if number % 2 else P for number in range(60)]
    made = judged(before, after, languages=["rust", "ruby"])
    assert made.result.difference == 0
    found = gate(workspace, made, "language <= 2 points")
    assert (found.passed, found.measured) == (False, "ruby -100.0 points")
    slight = judged([P] * 60, [F, *[P] * 59], languages=["rust", "ruby"])
    found = gate(workspace, slight, "language <= 2 points")
    assert found.passed is None
    assert found.measured == "rust -3.3 points"
    assert "more prompts needed" in found.detail
    assert gate(workspace, slight, "measured language <= 2 points").passed is False
    assert (
        gate(workspace, judged([P] * 60, [P] * 60, languages=["rust", "ruby"]), "language <= 10 points").passed is True
    )


def test_a_language_that_surely_got_worse_decides_before_one_that_may_have(workspace: Workspace) -> None:
    names = ["rare"] * 2 + ["ruby"] * 30
    made = judged([P] * 32, [F, F, *[F] * 15, *[P] * 15], languages=names)
    assert [found.difference for found in made.languages.values()] == [-1.0, -0.5]
    found = gate(workspace, made, "language <= 2 points")
    assert (found.passed, found.measured) == (False, "ruby -50.0 points")


def test_a_suite_in_one_language_is_that_language_and_one_in_none_is_undecided(workspace: Workspace) -> None:
    assert gate(workspace, judged([P] * 40, [P] * 40, languages=["go"]), "language <= 10 points").passed is True
    found = gate(workspace, judged([P] * 40, [P] * 40), "language <= 10 points")
    assert (found.passed, found.detail) == (None, "its prompts name no language (metadata.language)")


def test_latency_is_of_answers_made_now_and_says_how_many_were_in_flight(workspace: Workspace) -> None:
    made = judged([P] * 10, [P] * 10)
    found = gate(workspace, made, "latency < 12 s")
    assert (found.passed, found.measured, found.detail) == (True, "2.00 s", "10 answers, 4 in flight")
    assert gate(workspace, made, "latency < 2 s").passed is False
    assert gate(workspace, made, "latency <= 2 s").passed is True
    assert gate(workspace, made, "first-token < 600 ms").passed is True
    kept = gate(workspace, judged([P] * 10, [P] * 10, answer={"cached": True}), "latency < 12 s")
    assert kept.passed is None
    assert "--fresh" in kept.detail


def test_memory_is_the_fine_tunes_server_at_its_fullest(workspace: Workspace) -> None:
    assert gate(workspace, judged([P], [P]), "memory < 10 GB").passed is None
    seen = Asked(side="tuned", at_once=4, rss_bytes=6_000_000_000, vram_bytes=5_000_000_000)
    found = gate(workspace, judged([P], [P], events=[seen]), "memory < 10 GB")
    assert (found.passed, found.measured) == (False, "11.00 GB")
    assert gate(workspace, judged([P], [P], events=[seen]), "memory < 10.3 GiB").passed is True


def test_forgetting_stands_with_the_adapter(workspace: Workspace, tmp_path: Path) -> None:
    label = add(workspace, tmp_path, "coder", general_loss_before=2.30, general_loss=2.45)
    made = judged([P], [P], endpoints={"tuned": f"adapter:{label}"})
    found = gate(workspace, made, "forgetting <= 0.1")
    assert (found.passed, found.measured) == (False, "+0.150 nats per token")
    assert gate(workspace, made, "forgetting <= 0.2").passed is True
    served = judged([P], [P], endpoints={"tuned": f"vllm:http://127.0.0.1:8000#{label}"})
    assert gate(workspace, served, "forgetting <= 0.2").passed is True
    unmeasured = add(workspace, tmp_path, "other")
    for tuned in (f"adapter:{unmeasured}", "together:somebody/model"):
        assert gate(workspace, judged([P], [P], endpoints={"tuned": tuned}), "forgetting <= 0.2").passed is None


def test_another_suite_is_asked_of_the_newest_report_about_the_same_fine_tune(workspace: Workspace) -> None:
    mine = judged([P] * 40, [P] * 40, endpoints={"tuned": "vllm:http://a#coder@1.1.0"}, identity="r1")
    text = "suite:general difference > -10 points"
    found = gate(workspace, mine, text)
    assert found.passed is None
    assert "lora-tui verify general" in found.detail

    def general(identity: str, tuned: str, passes: list[list[bool]]) -> None:
        made = judged([P] * 40, passes, endpoints={"tuned": tuned}, identity=identity, suite=Path("general.yaml"))
        report_files.write(made, workspace.reports / identity)

    general("r2", "vllm:http://a#coder@1.0.0", [F] * 40)  # another version
    assert gate(workspace, mine, text).passed is None
    general("r3", "vllm:http://a#coder@1.1.0", [P] * 40)
    assert gate(workspace, mine, text).passed is True
    general("r4", "vllm:http://a#coder@1.1.0", [F] * 40)
    assert gate(workspace, mine, text).passed is False
    same = dict.fromkeys(("baseline", "tuned"), mine.tuned)
    itself = judged([P] * 40, [P] * 40, endpoints=same, identity="r5", suite=Path("general.yaml"))
    report_files.write(itself, workspace.reports / "r5")
    assert gate(workspace, mine, text).passed is False, "compared with itself it shows noise"


EVERY = [
    "success >= 1 %",
    "better",
    "difference > -50 points",
    "language <= 50 points",
    "latency < 12 s",
    "memory < 1 GB",
]


@pytest.mark.parametrize("text", [*EVERY, "measured success >= 1 %"])
def test_nothing_is_decided_on_answers_that_could_not_be_had_or_are_void(workspace: Workspace, text: str) -> None:
    lost = judged([F] * 30, [P] * 29 + [["nothing came for 60 s"]], languages=["go"])
    found = gate(workspace, lost, text)
    assert (found.passed, found.detail) == (None, "an answer could not be had")
    fault = Fault(side="tuned", code="mixed-adapters", message="it answered as baseline does", voids=True)
    void = judged([F] * 30, [P] * 30, languages=["go"], events=[fault])
    assert gate(workspace, void, text).passed is None
    assert gate(workspace, void, text).detail.startswith("mixed-adapters")


def test_what_was_not_judged_could_be_what_decides(workspace: Workspace) -> None:
    made = judged([F] * 30, [P] * 28 + [[None], [None]])
    for text in ("success >= 50 %", "better"):
        found = gate(workspace, made, text)
        assert found.passed is None
        assert found.detail.startswith("2 of 30 prompts were not judged")
    assert gate(workspace, made, "measured success >= 50 %").passed is True


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sucess >= 98 %", "success >= 98 %"),
        ("success >= 98", "needs a unit: %"),
        ("success <= 98 %", "the wrong way round"),
        ("latency > 12 s", "the wrong way round"),
        ("latency < 12", "needs a unit: s or ms"),
        ("success", "names no limit"),
        ("better > 3", "`better` stands alone"),
        ("success >= 100 %", "can never be passed"),
        ("success > 100 %", "can never be passed"),
        ("measured latency < 3 s", "decides about latency anyway"),
        ("success >= 98 % today", "is no gate"),
        ("", "is no gate"),
    ],
)
def test_what_is_no_gate_is_refused_with_one_that_is(text: str, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        conditions.read(text)
    assert said in str(caught.value)
    assert caught.value.fix


def test_a_limit_in_percent_is_met_by_the_same_percent() -> None:
    for percent in range(1, 100):
        assert conditions.read(f"measured success >= {percent} %").met_by(percent / 100)
        assert not conditions.read(f"measured success > {percent}%").met_by(percent / 100)
