"""Which examples become rows, and what is known of each."""

from __future__ import annotations

import pytest

from lora_tui.curation import examples, labels
from lora_tui.dataset.candidate import Candidate
from lora_tui.dataset.model import Rejected, Row
from lora_tui.dataset.select import select
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Data
from stories import says, store_session, user


@pytest.fixture
def told(workspace: Workspace) -> Workspace:
    """A session with a subagent's, a chat file's row and a commit; the first accepted by ana, the others by a rule."""
    answer = says("```rust\nfn main() {}\n```")
    for native_id, options in (
        ("parent", {}),
        ("child", {"parent": "parent"}),
        ("row_1", {"source": "chat"}),
        ("commit", {"source": "git", "licence": "MIT"}),
    ):
        store_session(workspace, native_id, [user(f"Write the Rust function {native_id}"), answer], **options)  # type: ignore[arg-type]
    workspace.connection().execute("UPDATE session SET directory = '/home/marie/secret-app'")
    examples.refresh(workspace)
    ids = sorted(examples.ids(workspace))
    labels.decide(workspace, ids[:1], "accept", author="ana")
    labels.decide(workspace, ids[1:], "accept", author="augment")
    return workspace


def found(
    workspace: Workspace, data: Data, **options: object
) -> tuple[dict[str, tuple[Candidate, Row]], list[Rejected]]:
    all_ = list(select(workspace, data, **options))  # type: ignore[arg-type]
    rows = {item[0].session: item for item in all_ if not isinstance(item, Rejected)}
    return rows, [item for item in all_ if isinstance(item, Rejected)]


def test_a_row_knows_its_outermost_session_its_folder_and_who_accepted_it(told: Workspace) -> None:
    rows, rejected = found(told, Data())
    assert rejected == []
    assert {name: candidate.root for name, (candidate, _) in rows.items()} == {
        "parent": "parent",
        "child": "parent",
        "row_1": "row_1",
        "commit": "commit",
    }
    assert {name: row.repository for name, (_, row) in rows.items()} == {
        "parent": "secret-app",
        "child": "secret-app",
        "commit": "secret-app",
        "row_1": "",  # a chat file lies where somebody put it
    }
    assert "marie" not in "".join(f"{candidate} {row}" for candidate, row in rows.values())
    assert sum(candidate.by_person for candidate, _ in rows.values()) == 1
    assert all(candidate.key == row.key != row.id == candidate.id for candidate, row in rows.values())


def test_only_what_people_accepted_where_that_is_asked_for(told: Workspace) -> None:
    rows, rejected = found(told, Data(accepted_by="people"))
    assert len(rows) == 1
    assert {item.reason for item in rejected} == {"accepted by a rule, not by a person"}
    assert len(rejected) == 3


def test_a_row_like_a_suites_prompt_is_marked_with_the_suite(told: Workspace) -> None:
    rows, _ = found(told, Data(), suite_like=lambda row: "tiny" if "child" in row.messages[0].content else "")
    assert {name: candidate.suite for name, (candidate, _) in rows.items() if candidate.suite} == {"child": "tiny"}
