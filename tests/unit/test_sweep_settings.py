"""What a sweep tries, from the words a person gives it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lora_tui.backends import sweep, trials
from lora_tui.backends.trials import Outcome
from lora_tui.cli.text_chart import chart
from lora_tui.jobs import journal, supervisor
from lora_tui.jobs.job import TinyBase, Trial
from lora_tui.jobs.view import RunView
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace


def test_a_grid_is_every_combination() -> None:
    found = sweep.grid(["lr=1e-4,2e-4", "r=8,16", 'targets=["q_proj","v_proj"],all-linear'])
    assert len(found) == 8
    assert found[0] == ("training.learning_rate=1e-4", "lora.r=8", 'lora.target_modules=["q_proj","v_proj"]')
    assert found[1][2] == "lora.target_modules=all-linear"
    assert sweep.short(found[3]) == "lr=1e-4 r=16 targets=all-linear"
    assert sweep.grid(["data.repeat=1,2"]) == [("data.repeat=1",), ("data.repeat=2",)]


@pytest.mark.parametrize(
    ("axes", "why"),
    [
        (["lr"], "not an axis"),
        (["lr="], "not an axis"),
        (["=1,2"], "not an axis"),
        (["lr=1e-4,1e-4"], "stands twice"),
        (["lr=1e-4", "training.learning_rate=2e-4"], "in the grid twice"),
    ],
)
def test_what_is_no_grid_is_refused(axes: list[str], why: str) -> None:
    with pytest.raises(BadInput, match=why):
        sweep.grid(axes)


def test_a_list_has_the_settings_of_one_run_a_line(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_text('# the first ones\nlr=1e-4 r=8\n\nlr=2e-4 \'targets=["q_proj", "v_proj"]\'  # wider\n')
    assert [sweep.short(item) for item in sweep.listed(path)] == [
        "lr=1e-4 r=8",
        'lr=2e-4 targets=["q_proj", "v_proj"]',
    ]
    path.write_text("lr=1e-4\nr 8\n")
    with pytest.raises(BadInput, match="not a setting: 'r'") as refused:
        sweep.listed(path)
    assert refused.value.where == f"{path}:2"
    with pytest.raises(BadInput, match="cannot read the list"):
        sweep.listed(tmp_path / "nowhere")


def test_what_is_drawn_depends_on_the_seed_alone() -> None:
    every = sweep.grid(["lr=1e-5,2e-5,5e-5,1e-4,2e-4", "r=4,8,16,32"])
    first = sweep.drawn(every, 6, seed=1)
    assert first == sweep.drawn(every, 6, seed=1)
    assert first != sweep.drawn(every, 6, seed=2)
    assert len(set(first)) == 6
    assert sweep.drawn(every, 100, seed=1) == every


def outcome(number: int, state: str, eval_loss: float | None = None, pass_rate: float | None = None) -> Outcome:
    """What came of one run."""
    return Outcome(number, f"run-{number}", (), state, eval_loss=eval_loss, pass_rate=pass_rate)  # type: ignore[arg-type]


def test_the_best_is_a_finished_run() -> None:
    found = [
        outcome(1, "finished", 1.2, 0.5),
        outcome(2, "finished", 1.1, 0.25),
        outcome(3, "failed", 0.1, 1.0),
        outcome(4, "finished", 1.15, 0.5),
        outcome(5, "finished"),
    ]
    by_loss, by_rate = trials.best("eval_loss", found), trials.best("pass_rate", found)
    assert by_loss
    assert by_rate
    assert (by_loss.number, by_rate.number) == (2, 4)
    assert trials.best("eval_loss", [outcome(1, "failed", 1.0), outcome(2, "finished")]) is None


def test_the_pass_rate_of_a_run_is_that_of_the_weights_it_keeps(workspace: Workspace) -> None:
    run = supervisor.create(workspace, TinyBase(chats="", output=""), "trial")
    log = journal.Journal(run.journal)
    for step, passed in ((0, False), (4, True), (8, False)):
        check = journal.Check(expectation="contains 'x'", passed=passed)
        log.write(journal.Sample(step=step, prompt="x?", answer="x", checks=(check,)))
    trial = Trial(run=run.id, settings=())
    assert trials.outcome(1, trial, RunView.of(run)).pass_rate == 0.0
    log.write(journal.Finished(steps=8, eval_loss=1.0, best_step=4))
    log.close()
    assert trials.outcome(1, trial, RunView.of(run)).pass_rate == 1.0


def test_the_chart_draws_each_run_with_its_number() -> None:
    lines = chart([[(10, 2.0), (20, 1.0)], [(10, 2.0), (20, 1.5)]], width=11, height=5)
    assert lines == [
        "2.000 |*",
        "      |",
        "      |          2",
        "      |",
        "1.000 |          1",
        "      +-----------",
        "       10       20",
    ]
    assert chart([[]]) == []
    assert chart([[(5, 1.0)]], width=3, height=1)[0] == "1.000 |1"
