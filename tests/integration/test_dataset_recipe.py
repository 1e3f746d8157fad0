"""What a build takes, drawn, limited, repeated and mixed in, as the command line says it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from lora_tui.cli.dataset import group
from lora_tui.cli.output import Cli
from lora_tui.curation import examples, labels
from lora_tui.workspace.layout import Workspace
from stories import says, store_session, user

WORDS = [
    f"{one}{other}" for one in ("alpha", "beta", "gamma", "delta") for other in ("one", "two", "six", "ten", "dot")
]


@pytest.fixture
def accepted(workspace: Workspace) -> Workspace:
    """Twenty sessions in five repositories, twelve of them in one."""
    for number, word in enumerate(WORDS):
        code = f"fn {word}() -> i32 {{\n    {word}_{number}({number})\n}}"
        said = [user(f"Write the Rust function {word} for {number}"), says(f"```rust\n{code}\n```")]
        store_session(workspace, f"ses_{number:02}", said, created=1_790_000_000_000 + number * 86_400_000)
    workspace.connection().execute(
        "UPDATE session SET directory = '/home/dev/' || CASE WHEN id <= 12 THEN 'app' ELSE 'lib' || (id % 4) END"
    )
    examples.refresh(workspace)
    workspace.connection().execute("UPDATE example SET cluster = NULL")
    ids = sorted(examples.ids(workspace))
    labels.decide(workspace, ids[:15], "accept", author="ana")
    labels.decide(workspace, ids[15:], "accept", author="demo")
    return workspace


def built(workspace: Workspace, *arguments: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    done = CliRunner().invoke(group, ["build", "rust", *arguments, "--json"], obj=Cli(str(workspace.root)))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    manifest = json.loads(done.stdout)
    rows = [
        {**json.loads(line), "split": split}
        for split in ("train", "validation", "test")
        for line in (Path(manifest["folder"]) / f"{split}.jsonl").read_text().splitlines()
    ]
    return manifest, rows


def test_a_repository_has_at_most_its_share_and_the_others_are_listed_with_the_reason(accepted: Workspace) -> None:
    manifest, rows = built(accepted)
    of = Counter(row["repository"] for row in rows)
    assert max(of.values()) <= 0.3 * len(rows)
    assert manifest["left_out"]["more than 30% of all rows would be of one repository"] == 20 - len(rows)
    assert len(built(accepted, "--repository-share", "1")[1]) == 20
    assert Counter(row["repository"] for row in built(accepted, "--per-repository", "2")[1])["app"] == 2


def test_only_what_people_accepted(accepted: Workspace) -> None:
    manifest, rows = built(accepted, "--accepted-by", "people", "--repository-share", "1")
    assert len(rows) == 15
    assert manifest["left_out"]["accepted by a rule, not by a person"] == 5


def test_train_is_drawn_from_or_repeated_to_the_number_wanted_and_test_is_not_touched(accepted: Workspace) -> None:
    whole = ("--repository-share", "1")
    _, rows = built(accepted, *whole)
    test = [row["id"] for row in rows if row["split"] != "train"]
    manifest, rows = built(accepted, *whole, "--rows", "rust=4")
    assert sum(row["split"] == "train" for row in rows) == 4
    assert any("rust: 4 of" in note for note in manifest["notes"])
    assert [row["id"] for row in rows if row["split"] != "train"] == test
    manifest, rows = built(accepted, *whole, "--rows", "rust=30", "--repeat", "3")
    train = [row for row in rows if row["split"] == "train"]
    assert len(train) == 30
    assert max(row.get("copy", 0) for row in train) <= 2
    assert len({(row["id"], row.get("copy", 0)) for row in train}) == 30
    assert any("in train" in note for note in manifest["notes"])
    assert [row["id"] for row in rows if row["split"] != "train"] == test


def test_general_conversations_stand_in_train_alone_up_to_their_share(accepted: Workspace, tmp_path: Path) -> None:
    chats = tmp_path / "general.jsonl"
    chats.write_text(
        "".join(
            json.dumps({"instruction": f"What is {word}?", "input": "", "output": f"{word} is number {number}."}) + "\n"
            for number, word in enumerate(WORDS)
        )
    )
    options = ("--repository-share", "1", "--replay", str(chats), "--replay-share", "0.2")
    manifest, rows = built(accepted, *options)
    replayed = [row for row in rows if row.get("origin") == "replay"]
    train = [row for row in rows if row["split"] == "train"]
    assert {row["split"] for row in replayed} == {"train"}
    assert 0.15 <= len(replayed) / len(train) <= 0.2
    assert any(f"replay: {len(replayed)} of 20 conversations of general.jsonl" in note for note in manifest["notes"])
    assert "general.jsonl" in str(manifest["tables"])
    assert built(accepted, *options)[0]["hash"] == manifest["hash"]


def test_a_general_conversation_like_a_row_of_test_stays_out_of_train(accepted: Workspace, tmp_path: Path) -> None:
    code = "\n".join(f"    let {word} = total({word}, {number});" for number, word in enumerate(WORDS))
    store_session(
        accepted,
        "ses_new",
        [user("Write the Rust function that sums it all"), says(f"```rust\nfn sums() {{\n{code}\n}}\n```")],
        created=1_800_000_000_000,
    )
    accepted.connection().execute("UPDATE session SET directory = '/home/dev/app'")  # the newest rows are for test
    examples.refresh(accepted)
    labels.decide(accepted, [max(examples.ids(accepted))], "accept", author="ana")
    _, rows = built(accepted, "--repository-share", "1")
    (held_out,) = (row for row in rows if row["session"] == "ses_new")
    assert held_out["split"] == "test"
    chats = tmp_path / "general.jsonl"
    copied = {"instruction": "Please sum", "output": held_out["messages"][-1]["content"] + "\nThat is all."}
    chats.write_text(json.dumps(copied) + "\n" + json.dumps({"instruction": "Hi", "output": "Hello"}) + "\n")
    manifest, rows = built(accepted, "--repository-share", "1", "--replay", str(chats), "--replay-share", "0.5")
    assert [row["messages"][-1]["content"] for row in rows if row.get("origin") == "replay"] == ["Hello"]
    assert manifest["left_out"]["replay: near-duplicate of a row held out"] == 1


@pytest.mark.parametrize("given", [("--rows", "rust"), ("--rows", "rust=many"), ("--replay-share", "1")])
def test_an_option_that_cannot_be_read_is_refused(accepted: Workspace, given: tuple[str, str]) -> None:
    done = CliRunner().invoke(group, ["build", "rust", *given], obj=Cli(str(accepted.root)))
    assert done.exit_code == 2
    assert given[0] in done.output
