"""The last steps of a cycle: production changes once, for what was compared with it; settings where they are ours."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from judged_reports import Samples
from judged_reports import judged as report_of
from lora_tui.adapters import aliases, registry
from lora_tui.adapters.wiring import places
from lora_tui.cycle import promoting
from lora_tui.cycle.ground import Ground
from lora_tui.cycle.judging import judged
from lora_tui.cycle.promoting import promoted, wired
from lora_tui.jobs.job import Cycle
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace
from opencode_settings import COMMENTED, add_specialist

PROFILE = """
name = "coder"
model = {base = "x"}
verification = {suite = "tiny"}
"""


@pytest.fixture
def coder(workspace: Workspace, tmp_path: Path) -> Workspace:
    """A workspace with a profile and two versions of its adapter."""
    (workspace.profiles / "coder.toml").write_text(PROFILE)
    for _ in range(2):
        add_specialist(workspace, "coder", "coder", tmp_path / "Base-1B")
    return workspace


def ground(workspace: Workspace) -> Ground:
    """As a cycle of the profile finds it."""
    return Ground.of(workspace, Cycle(profile="coder"))


def labels(workspace: Workspace) -> list[str]:
    """The versions, oldest first."""
    return sorted(item.label for item in registry.adapters(workspace))


def test_it_is_promoted_once_and_who_went_back_since_is_not_overruled(coder: Workspace) -> None:
    first, second = labels(coder)
    assert promoted(ground(coder), registry.find(coder, first), "w").outcome == "done"
    before = ground(coder)
    assert before.production is not None
    assert promoted(before, registry.find(coder, second), "w").made == second
    aliases.point(coder, "coder", aliases.PRODUCTION, first, "it was better")
    step = promoted(before, registry.find(coder, second), "w")
    assert (step.outcome, step.said) == ("refused", (f"{second} was promoted, and {first} is in production since",))
    assert aliases.target(coder, "coder", aliases.PRODUCTION) == first.partition("@")[2]
    assert len(aliases.history(coder, "coder")) == 4  # two promotions, the standby, the way back


def test_what_was_compared_with_another_version_than_is_in_production_now_is_not_promoted(coder: Workspace) -> None:
    first, second = labels(coder)
    compared_with_the_base = ground(coder)
    aliases.point(coder, "coder", aliases.PRODUCTION, first, "by hand")
    step = promoted(compared_with_the_base, registry.find(coder, second), "w")
    assert step.outcome == "refused"
    assert step.said == (f"{first} is in production by now, and it was compared with the base",)
    assert aliases.target(coder, "coder", aliases.PRODUCTION) == first.partition("@")[2]


def test_a_promotion_in_the_last_moment_by_somebody_else_is_not_undone(
    coder: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = labels(coder)
    compared_with_the_base = ground(coder)

    def look(workspace: Workspace, item: registry.Adapter) -> list[str]:
        aliases.point(workspace, "coder", aliases.PRODUCTION, first, "by hand")  # after the cycle looked
        return []

    monkeypatch.setattr(promoting, "reasons_against", look)
    with pytest.raises(LoraTuiError, match=f"coder is {first} by now, no longer nothing"):
        promoted(compared_with_the_base, registry.find(coder, second), "w")
    assert aliases.target(coder, "coder", aliases.PRODUCTION) == first.partition("@")[2]


def test_without_gates_what_was_not_judged_keeps_a_version_from_being_promoted() -> None:
    answers: list[Samples] = [[True]] * 10
    assert judged(report_of(answers, answers)).outcome == "done"
    half = judged(report_of([[True], *[[None]] * 9], [[True], *[[None]] * 9]))
    assert half.outcome == "refused"
    assert any("9 of 10 prompts were not judged" in said for said in half.said)


def test_settings_are_written_only_where_they_are_ours_or_the_profile_asks(coder: Workspace) -> None:
    config = places.global_folder(os.environ) / "opencode.json"
    config.parent.mkdir(parents=True)
    config.write_text(COMMENTED)
    step = wired(ground(coder))
    assert (step.outcome, config.read_text()) == ("nothing", COMMENTED)
    assert "stands in no settings that lora-tui wrote" in step.said[0]

    (coder.profiles / "coder.toml").write_text(PROFILE + "cycle = {opencode = true}\n")
    step = wired(ground(coder))
    assert step.outcome == "done", step.said
    written = config.read_text()
    assert '"baseURL"' in written
    assert written.startswith("// my settings")
    assert wired(ground(coder)).outcome == "nothing"
    assert config.read_text() == written


def test_settings_changed_by_hand_stay_and_it_is_said(coder: Workspace) -> None:
    (coder.profiles / "coder.toml").write_text(PROFILE + "cycle = {opencode = true}\n")
    wired(ground(coder))
    (config,) = places.global_folder(os.environ).glob("opencode.json*")
    settings = json.loads(config.read_text())
    settings["provider"]["lora"]["name"] = "mine"
    config.write_text(json.dumps(settings))
    mine = config.read_bytes()
    step = wired(ground(coder))
    assert step.outcome == "nothing"
    assert "stays as it is" in step.said[0], step.said
    assert config.read_bytes() == mine
