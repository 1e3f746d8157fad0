"""What a profile's rule accepts without a person, and what it leaves to people."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from lora_tui.curation import examples, labels
from lora_tui.curation.examples import Filter
from lora_tui.cycle.gathering import AUTHOR, accept_by_rule
from lora_tui.cycle.ground import Ground
from lora_tui.demo.opencode_db import write_database
from lora_tui.jobs.job import Cycle
from lora_tui.sources.ingest import ingest
from lora_tui.workspace.layout import Workspace

PROFILE = """
name = "coder"
model = {base = "x"}
verification = {suite = "tiny"}
cycle = {accept_confidence = 0.01}
"""


def chats(answer: str) -> list[dict[str, Any]]:
    """Four sessions with one Rust question each."""
    return [
        {
            "title": f"About {thing}",
            "directory": f"/home/mira/code/{thing}",
            "agent": "build",
            "model": "lab/model",
            "created": 1_788_000_000_000 + number * 86_400_000,
            "turns": [
                {
                    "user": f"In src/{thing}.rs, write the Rust function {thing}.",
                    "steps": [{"text": f"```rust\nfn {thing}() {{ {answer} }}\n```"}],
                }
            ],
        }
        for number, thing in enumerate(("apples", "bridges", "candles", "drums"))
    ]


def read(workspace: Workspace, history: Path) -> None:
    """The agent's history as it is now."""
    ingest(workspace, "opencode", [history])
    examples.refresh(workspace)


def go_on(history: Path) -> None:
    """Every session gets another answer, as when its agent tried again."""
    with closing(sqlite3.connect(history)) as connection, connection:
        connection.execute("UPDATE part SET data = replace(data, 'one()', 'two()'), time_updated = time_updated + 1")
        connection.execute("UPDATE message SET time_updated = time_updated + 1")
        connection.execute("UPDATE session SET time_updated = time_updated + 1")


def accepted(workspace: Workspace) -> set[int]:
    return set(examples.ids(workspace, Filter(decision="accept")))


def test_a_rule_accepts_what_nobody_touched_and_never_what_a_person_rejected_flagged_or_took_back(
    workspace: Workspace, tmp_path: Path
) -> None:
    (workspace.profiles / "coder.toml").write_text(PROFILE)
    ground = Ground.of(workspace, Cycle(profile="coder"))
    history = tmp_path / "opencode.db"
    write_database(history, chats("one()"))
    read(workspace, history)
    rejected, flagged, *others = examples.ids(workspace)
    labels.decide(workspace, [rejected], "reject", author="mira")
    labels.decide(workspace, [flagged], "flag", author="mira")
    assert accept_by_rule(ground).outcome == "done"
    assert accepted(workspace) == set(others)

    go_on(history)
    read(workspace, history)  # every label is about what they were
    assert set(examples.ids(workspace, Filter(decision="unlabelled"))) == {rejected, flagged, *others}
    accept_by_rule(ground)
    assert accepted(workspace) == set(others)

    labels.undo(workspace, AUTHOR, [others[0]])
    accept_by_rule(ground)
    assert accepted(workspace) == set(others[1:])
