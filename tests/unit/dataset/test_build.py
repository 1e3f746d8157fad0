"""Which examples become rows, in which shape, and what is said about the others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from lora_tui.curation import examples, labels
from lora_tui.dataset import versions
from lora_tui.dataset.check import troubles
from lora_tui.dataset.model import Dataset
from lora_tui.dataset.rebuild import made_again, rebuild
from lora_tui.sources.model import About, Message
from lora_tui.sources.opencode.capture import captured, save_capture
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Data, Form, Shape, ToolTarget
from stories import calls, says, store_session, user


def rust_edit(number: int, tool: str = "edit", path: str = "filePath") -> list[Message]:
    """A request, the file, its edit."""
    name = f"/home/dev/app/src/m{number}.rs"
    old, new = ("old_string", "new_string") if path == "file_path" else ("oldString", "newString")
    text = f"1: fn f{number}() -> i32 {{\n2:     {number}\n3: }}"
    return [
        user(f"Let the function number {number} of module {number} return one more"),
        *calls("Read" if tool == "Edit" else "read", {path: name}, text, call_id=f"r{number}"),
        *calls(tool, {path: name, old: f"    {number}\n", new: f"    {number} + 1\n"}, "ok", call_id=f"e{number}"),
        says("Done."),
    ]


@pytest.fixture
def mixed(workspace: Workspace) -> Workspace:
    """Six opencode and two Claude Code sessions, four commits and eight synthetic examples, all accepted by ana."""
    for number in range(6):
        store_session(workspace, f"ses_{number}", rust_edit(number))
    for number in (10, 11):
        store_session(workspace, f"cc_{number}", rust_edit(number, "Edit", "file_path"), source="claude-code")
    for number in range(20, 24):
        store_session(workspace, f"git_{number}", rust_edit(number), source="git", licence="MIT")
    for number in range(30, 38):
        store_session(workspace, f"aug_{number}", rust_edit(number), source="augment", licence="MIT")
    examples.refresh(workspace)
    workspace.connection().execute("UPDATE example SET cluster = NULL")  # the stories resemble each other
    labels.decide(workspace, list(examples.ids(workspace)), "accept", author="ana")
    return workspace


def rows(dataset: Dataset, *splits: str) -> list[dict[str, Any]]:
    found = []
    for name in splits or ("train", "validation", "test"):
        found += [json.loads(line) for line in (dataset.folder / f"{name}.jsonl").read_text().splitlines()]
    return found


def names(dataset: Dataset) -> set[str]:
    """The tools that are called."""
    return {
        call["function"]["name"]
        for row in rows(dataset)
        for message in row["messages"]
        for call in message.get("tool_calls", ())
    }


def test_conversations_keep_their_calls_and_commits_are_plain(mixed: Workspace) -> None:
    built = versions.build(mixed, "rust")
    assert built.manifest.by_shape == {"agent": 8, "plain": 12}
    assert built.manifest.by_origin == {"commit": 4, "session": 8, "synthetic": 8}
    assert built.manifest.by_licence == {"MIT": 12, "unknown": 8}
    assert names(built) == {"read", "edit"}
    commit = next(row for row in rows(built) if row.get("origin") == "commit")
    assert [message["role"] for message in commit["messages"]] == ["user", "assistant"]
    assert "<<<<<<< SEARCH" in commit["messages"][1]["content"]


def test_the_target_names_the_tools_of_every_agents_sessions(mixed: Workspace) -> None:
    built = versions.build(mixed, "rust", Data(tool_target="opencode-v2"))
    arguments = [
        json.loads(call["function"]["arguments"])
        for row in rows(built)
        for message in row["messages"]
        for call in message.get("tool_calls", ())
    ]
    assert all("path" in given and "filePath" not in given and "file_path" not in given for given in arguments)
    assert names(versions.build(mixed, "rust", Data(tool_target="as-recorded"))) == {"read", "edit", "Read", "Edit"}


@pytest.mark.parametrize(
    ("form", "expected"), [("search-replace", ">>>>>>> REPLACE"), ("diff", "+++ b/src/m1.rs"), ("new-code", "```rust")]
)
def test_a_plain_dataset_is_in_one_form(mixed: Workspace, form: Form, expected: str) -> None:
    built = versions.build(mixed, "rust", Data(shape="plain", form=form, synthetic_share=1.0))
    assert built.manifest.by_shape == {"plain": 20}
    answers = [row["messages"][-1]["content"] for row in rows(built)]
    assert sum(expected in answer for answer in answers) == (1 if "m1" in expected else 20)


def test_no_synthetic_row_is_measured_on_and_their_share_is_capped(mixed: Workspace) -> None:
    built = versions.build(mixed, "rust", Data(synthetic_share=0.25), shares=(50, 25, 25))
    assert built.manifest.by_origin["synthetic"] == 4  # beside twelve real ones
    assert built.manifest.left_out == {"more than 25% of rust would be synthetic": 4}
    assert rows(built, "test")
    assert rows(built, "validation")
    assert {row.get("origin") for row in rows(built, "validation", "test")} <= {None, "commit"}
    assert versions.build(mixed, "rust", Data(synthetic_share=0.25), shares=(50, 25, 25)).manifest.hash == (
        built.manifest.hash
    )


def test_of_near_duplicates_the_one_that_a_person_accepted_stays_then_the_longer(mixed: Workspace) -> None:
    connection = mixed.connection()
    for cluster, native in ((1, ("ses_0", "ses_1")), (2, ("git_20", "aug_30"))):
        of = "SELECT id FROM session WHERE native_id IN (?, ?)"
        connection.execute(f"UPDATE example SET cluster = {cluster} WHERE session_id IN ({of})", native)
    query = "SELECT example.id FROM example JOIN session ON session.id = session_id WHERE session.native_id = ?"
    (first,) = connection.execute(query, ("ses_0",)).fetchone()
    second = first + 1
    connection.execute("UPDATE example SET characters = characters + 100 WHERE id = ?", (first,))
    built = versions.build(mixed, "rust")
    assert built.manifest.left_out == {"near-duplicate": 2}
    assert f"example {first} stays" in {item.about for item in versions.rejected(built)}
    assert {row["session"] for row in rows(built)}.isdisjoint({"ses_1", "aug_30"})
    labels.decide(mixed, [first], "reject", author="ana")
    labels.decide(mixed, [first], "accept", author="augment")
    kept = {row["session"] for row in rows(versions.build(mixed, "rust"))}
    assert "ses_1" in kept
    assert "ses_0" not in kept
    assert second in {item.example for item in versions.rejected(built)}


@pytest.mark.parametrize(
    ("data", "left_out"),
    [
        (Data(sources=("git",)), {"source: opencode": 6, "source: claude-code": 2, "source: augment": 8}),
        (Data(models=("other/model",)), {"model: lab/model": 20}),
        (Data(outcomes=("success",)), {"outcome: unknown": 8}),
    ],
)
def test_what_was_not_asked_for_is_counted_by_reason(mixed: Workspace, data: Data, left_out: dict[str, int]) -> None:
    if data.models:
        with pytest.raises(BadInput, match="20 model: lab/model"):
            versions.build(mixed, "rust", data)
        return
    if data.outcomes:
        mixed.connection().execute(
            "UPDATE example SET outcome = CASE WHEN session_id IN (SELECT id FROM session WHERE source IN "
            "('git', 'augment')) THEN 'success' ELSE 'unknown' END"
        )
    built = versions.build(mixed, "rust", data)
    assert left_out.items() <= built.manifest.left_out.items()


def test_weights_go_into_the_row_and_a_row_without_any_is_left_out(workspace: Workspace) -> None:
    bad, good = rust_edit(1), rust_edit(2)
    bad = [msgspec.structs.replace(m, about=About(weight=0)) if m.role == "assistant" else m for m in bad]
    good[1] = msgspec.structs.replace(good[1], about=About(weight=0))
    store_session(workspace, "ses_bad", bad)
    store_session(workspace, "ses_good", good)
    examples.refresh(workspace)
    workspace.connection().execute("UPDATE example SET cluster = NULL")
    labels.decide(workspace, list(examples.ids(workspace)), "accept", author="ana")
    for data in (Data(), Data(shape="plain")):
        built = versions.build(workspace, "rust", data)
        assert built.manifest.left_out == {"nothing to learn from": 1}
        (row,) = rows(built)
        if data.shape == "agent":
            assistant = [message for message in row["messages"] if message["role"] == "assistant"]
            assert [message.get("weight", 1) for message in assistant] == [0, 1, 1]


def test_a_captured_agents_prompt_and_tools_are_in_the_rows(mixed: Workspace) -> None:
    def tool(name: str, *required: str) -> dict[str, Any]:
        return {"type": "function", "function": {"name": name, "parameters": {"required": list(required)}}}

    tools = [tool("read", "filePath"), tool("edit", "filePath", "oldString", "newString")]
    system = "You are careful.\nYou are powered by the model named x. The exact model ID is y/x\n"
    save_capture(mixed, captured("build-rust", "1.18.33", system, tools, 0.0))
    built = versions.build(mixed, "rust", Data(capture="build-rust"))
    row = next(row for row in rows(built) if row.get("shape", "agent") == "agent")
    assert row["toolset"] == "build-rust"
    assert row["messages"][0]["role"] == "system"
    assert "lora-tui/build-rust" in row["messages"][0]["content"]
    assert json.loads((built.folder / "tools.json").read_text()) == {"build-rust": tools}
    assert "tools.json" in built.manifest.files
    (built.folder / "tools.json").write_text("{}")
    assert versions.damaged_files(built) == ["tools.json"]
    with pytest.raises(BadInput, match="'other' has not been captured"):
        versions.build(mixed, "rust", Data(capture="other"))
    with pytest.raises(BadInput, match="a plain row has no place"):
        versions.build(mixed, "rust", Data(shape="plain", capture="build-rust"))


@pytest.mark.parametrize(
    "data",
    [
        Data(),
        Data(capture="build-rust"),
        Data(shape="plain", form="diff", synthetic_share=1.0),
        Data(tool_target="opencode-v2", cap=50),
    ],
)
def test_every_shape_and_origin_is_made_again_byte_by_byte(mixed: Workspace, data: Data) -> None:
    functions = [("read", ["filePath"]), ("edit", ["filePath", "oldString", "newString"])]
    tools = [
        {"type": "function", "function": {"name": name, "parameters": {"required": required}}}
        for name, required in functions
    ]
    save_capture(mixed, captured("build-rust", "1.18.33", "You are careful on <today>.", tools, 0.0))
    built = versions.build(mixed, "rust", data)
    assert set(built.manifest.by_origin) == {"session", "commit", "synthetic"}
    again = rebuild(mixed, built, "again")
    for name in built.manifest.files:
        assert (again.folder / name).read_bytes() == (built.folder / name).read_bytes(), name
    assert list(troubles(again)) == []


def test_another_capture_or_other_rules_are_named_where_a_version_cannot_be_made_again(mixed: Workspace) -> None:
    tool = {"type": "function", "function": {"name": "read", "parameters": {"required": ["filePath"]}}}
    edit = {"type": "function", "function": {"name": "edit", "parameters": {"required": ["filePath"]}}}
    save_capture(mixed, captured("build-rust", "1.18.33", "You are careful.", [tool, edit], 0.0))
    built = versions.build(mixed, "rust", Data(capture="build-rust"))
    save_capture(mixed, captured("build-rust", "1.19.0", "You are quick.", [tool, edit], 0.0))
    made = made_again(mixed, built)
    assert not made.identical
    assert set(made.rules) == {"capture"}
    assert made.different == built.manifest.by_shape["agent"]


def test_a_captured_agents_secrets_are_in_no_file(mixed: Workspace) -> None:
    token = "gh" + "p_" + "Zx8Kq2Lw9Rt4Yu7Io1Pa3Sd6Fg5Hj0Bn4Vc2"
    function = {"name": "read", "description": f"Ask with {token}", "parameters": {"required": ["filePath"]}}
    tools = [{"type": "function", "function": function}, {"type": "function", "function": {"name": "edit"}}]
    save_capture(mixed, captured("build-rust", "1.18.33", f"Push with {token}.", tools, 0.0))
    built = versions.build(mixed, "rust", Data(capture="build-rust"))
    written = {path.name: path.read_text() for path in built.folder.iterdir()}
    assert not [name for name, text in written.items() if token in text]
    assert "Push with <SECRET:github_pat:1>." in written["train.jsonl"] + written["test.jsonl"]
    assert "Ask with <SECRET:github_pat:1>" in written["tools.json"]


def test_outputs_are_capped_and_reasoning_goes_unless_asked_for(workspace: Workspace) -> None:
    talk = rust_edit(1)
    talk[2] = msgspec.structs.replace(talk[2], content="1: x\n" * 2_000)
    talk[-1] = msgspec.structs.replace(talk[-1], reasoning_content="Let me think.")
    store_session(workspace, "ses_1", talk)
    examples.refresh(workspace)
    labels.decide(workspace, list(examples.ids(workspace)), "accept", author="ana")
    (short,) = rows(versions.build(workspace, "rust", Data(cap=500)))
    assert len(short["messages"][2]["content"]) <= 500
    assert "reasoning_content" not in short["messages"][-1]
    (whole,) = rows(versions.build(workspace, "rust", Data(cap=0, reasoning=True)))
    assert len(whole["messages"][2]["content"]) > 3_000
    assert whole["messages"][-1]["reasoning_content"] == "Let me think."


def test_earlier_requests_are_shown_and_not_learned_from(workspace: Workspace) -> None:
    store_session(workspace, "ses_1", [*rust_edit(1), *rust_edit(2)])
    examples.refresh(workspace)
    workspace.connection().execute("UPDATE example SET cluster = NULL")
    second = next(iter(examples.ids(workspace)))
    labels.decide(workspace, [second], "accept", author="ana")
    (alone,) = rows(versions.build(workspace, "rust", Data(context=0)))
    (row,) = rows(versions.build(workspace, "rust"))
    assert len(row["messages"]) == 2 * len(alone["messages"])
    learned = [message.get("weight", 1) for message in row["messages"] if message["role"] == "assistant"]
    assert learned == [0, 0, 0, 1, 1, 1]
    (plain,) = rows(versions.build(workspace, "rust", Data(shape="plain", context=10_000)))
    assert len(plain["messages"]) == 2


def test_the_command_line_builds_shows_and_lists_what_was_left_out(mixed: Workspace) -> None:
    from click.testing import CliRunner

    from lora_tui.cli.main import cli

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(cli, ["--workspace", str(mixed.root), "dataset", *arguments])
        assert not done.exception, done.output
        return done.stdout

    told = run(
        "build", "rust", "--shape", "plain", "--form", "diff", "--synthetic-share", "0.25", "--source", "git,augment"
    )
    assert "8 plain" not in told
    assert "edits as diff" in told
    assert "check the terms of lab/model" in told
    assert "source: opencode" in run("show", "rust")
    listed = json.loads(run("rejected", "rust", "--reason", "synthetic", "--json"))
    assert {item["reason"] for item in listed} == {"more than 25% of rust would be synthetic"}
    assert len(listed) == 7


def planted() -> dict[str, str]:
    """Secrets by kind, put together here so that none stands in this file."""
    return {
        "github": "ghp" + "_" + "a8Kd92LmQx7Zp4Rt6Vw1Yb3Nc5He0Gj2Fs4u",
        "aws": "AKIA" + "Q3EGTRZXN7LMWV2B",
        "mail": "mira.lind" + "@" + "nordwind-labs.io",
    }


OPTIONS = [
    *(Data(shape="agent", tool_target=target, context=10_000, reasoning=True) for target in get_args(ToolTarget)),
    *(Data(shape="plain", form=form) for form in get_args(Form)),
]


@pytest.mark.parametrize("data", OPTIONS, ids=lambda data: f"{data.shape}-{data.form}-{data.tool_target}")
def test_no_planted_secret_is_in_any_file_of_a_dataset(workspace: Workspace, data: Data) -> None:
    secrets = planted()
    said = " ".join(secrets.values())
    name = "/home/dev/app/config.rb"
    text = "".join(f"{number}: {kind} = '{value}'\n" for number, (kind, value) in enumerate(secrets.items(), start=1))
    talk = [
        user(f"Earlier: keep {said} in mind, please"),
        says(f"Kept: {said}"),
        user(f"Replace the token in config.rb, it is {said}"),
        *calls("read", {"filePath": name}, text),
        *calls(
            "edit",
            {"filePath": name, "oldString": f"'{secrets['github']}'", "newString": f"ENV['X'] # {secrets['aws']}"},
            f"ok {said}",
            call_id="call_2",
        ),
        msgspec.structs.replace(says(f"Done with {said}"), reasoning_content=f"So {said}"),
    ]
    store_session(workspace, "ses_secret", talk, title=f"Title {said}")
    examples.refresh(workspace)
    labels.decide(workspace, list(examples.ids(workspace)), "accept", author="ana")
    built = versions.build(workspace, "ruby", data)
    assert sum(built.manifest.rows.values()) == 2
    assert built.manifest.findings
    for value in secrets.values():
        assert not files_with(built.folder, value), value


def files_with(folder: Path, value: str) -> list[Path]:
    """The files below a folder that hold a value."""
    return [path for path in folder.rglob("*") if path.is_file() and value.encode() in path.read_bytes()]


def test_every_shape_is_covered_above() -> None:
    assert {data.shape for data in OPTIONS} == set(get_args(Shape))
