"""`dataset export`, `dataset import` and `dataset check`: whole versions as files of other formats, and back."""

from __future__ import annotations

import gzip
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lora_tui.dataset import exporting, importing, stored, versions
from lora_tui.dataset.check import troubles
from lora_tui.dataset.formats import line
from lora_tui.dataset.formats.formats import FORMATS
from lora_tui.dataset.model import Dataset, Row, RowMessage
from lora_tui.sources.model import Function, ToolCall
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.layout import Workspace
from secret_values import filled

TOOLS = [
    {"type": "function", "function": {"name": "read", "parameters": {"properties": {"a": {"default": None}}}}},
    {"type": "function", "function": {"name": "edit", "parameters": {"enum": [1, "two", 3.0]}}},
]


def call(identity: str, name: str, arguments: str) -> ToolCall:
    return ToolCall(id=identity, function=Function(name=name, arguments=arguments))


def agent_row(number: int, **changes: Any) -> Row:
    messages = [
        RowMessage("system", "You write Rust."),
        RowMessage("user", f"Fix module {number}. \u2028 👩‍👩‍👧 <|im_end|>"),
        RowMessage("assistant", "Looking.", "thinking…", [call("a", "read", '{"path":  "m.rs"}')], weight=0),
        RowMessage("tool", "fn f() {}", tool_call_id="a"),
        RowMessage("assistant", tool_calls=[call("b", "edit", f'{{"n": {number}}}'), call("c", "read", "{}")]),
        RowMessage("tool", "", tool_call_id="c"),
        RowMessage("tool", "ok", tool_call_id="b"),
        RowMessage("assistant", f"Done with {number}."),
    ]
    return msgspec.structs.replace(
        Row(
            id=line.row_id(messages),
            messages=messages,
            language="rust",
            source="opencode",
            session=f"ses_{number}",
            model="vendor/model",
            key=f"key{number}",
            repository="project",
            licence="MIT",
            toolset="build",
        ),
        **changes,
    )


def lines_of(rows: list[Row]) -> bytes:
    return b"".join(msgspec.json.encode(row) + b"\n" for row in rows)


@pytest.fixture
def dataset(workspace: Workspace, tmp_path: Path) -> Dataset:
    """A version of five rows in three splits, with tools, that came as the folder of another workspace's version."""
    folder = tmp_path / "from elsewhere"
    folder.mkdir()
    (folder / "train.jsonl").write_bytes(lines_of([agent_row(1), agent_row(2), agent_row(2, copy=1)]))
    (folder / "validation.jsonl").write_bytes(lines_of([agent_row(3)]))
    (folder / "test.jsonl").write_bytes(lines_of([agent_row(4)]))
    (folder / "tools.json").write_bytes(msgspec.json.encode({"build": TOOLS}))
    return importing.import_(workspace, folder, "rust").dataset


def lora_tui(workspace: Workspace, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lora_tui", "--workspace", str(workspace.root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def split_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def messages(*texts: str) -> dict[str, Any]:
    roles = ("user", "assistant")
    return {"messages": [{"role": roles[n % 2], "content": text} for n, text in enumerate(texts)]}


@pytest.mark.parametrize("name", FORMATS)
def test_a_version_that_is_exported_imported_and_exported_again_gives_the_same_files(
    name: str, dataset: Dataset, workspace: Workspace, tmp_path: Path
) -> None:
    first = exporting.export(dataset, name, tmp_path / "one")
    assert [(item.split, item.rows) for item in first.files] == [("train", 3), ("validation", 1), ("test", 1)]
    assert all(Path(item.path).stat().st_size == item.bytes for item in first.files)
    again = importing.import_(workspace, tmp_path / "one", "again")
    assert (again.bad, again.edited) == (0, 0)
    assert again.dataset.manifest.hash == dataset.manifest.hash
    assert versions.damaged_files(again.dataset) == []
    exporting.export(again.dataset, name, tmp_path / "two")
    assert split_files(tmp_path / "two") == split_files(tmp_path / "one")


def test_what_was_told_of_a_row_is_told_of_it_after_it_came_back(dataset: Dataset, workspace: Workspace) -> None:
    manifest = dataset.manifest
    assert manifest.rows == {"train": 3, "validation": 1, "test": 1}
    assert (manifest.by_language, manifest.by_source) == ({"rust": 5}, {"opencode": 5})
    assert (manifest.by_licence, manifest.by_model) == ({"MIT": 5}, {"vendor/model": 5})
    assert manifest.imported == "from elsewhere"
    assert (dataset.folder / "train.jsonl").read_bytes() == lines_of([agent_row(1), agent_row(2), agent_row(2, copy=1)])
    assert [row.tools for row in stored.rows_with_tools(dataset, "test")] == [TOOLS]


def test_a_file_is_never_replaced_unasked(dataset: Dataset, tmp_path: Path) -> None:
    place = tmp_path / "out" / "test.jsonl"
    place.parent.mkdir()
    place.write_text("mine")
    with pytest.raises(BadInput, match="already"):
        exporting.export(dataset, "messages", place.parent)
    assert split_files(place.parent) == {"test.jsonl": b"mine"}
    exporting.export(dataset, "messages", place.parent, force=True)
    assert sorted(split_files(place.parent)) == ["test.jsonl", "train.jsonl", "validation.jsonl"]


def test_one_split_is_written_to_the_file_that_is_named(dataset: Dataset, tmp_path: Path) -> None:
    exporting.export(dataset, "alpaca-array", tmp_path / "held-out.json", split="test")
    (row,) = json.loads((tmp_path / "held-out.json").read_text())
    assert row["output"] == "Done with 4."


def test_a_damaged_version_is_not_exported(dataset: Dataset, tmp_path: Path) -> None:
    with (dataset.folder / "test.jsonl").open("ab") as file:
        file.write(b"\n")
    with pytest.raises(BadInput, match=r"damaged: test\.jsonl"):
        exporting.export(dataset, "messages", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["messages", "parquet"])
def test_an_export_that_fails_half_way_leaves_no_file(name: str, dataset: Dataset, tmp_path: Path) -> None:
    whole = exporting.export(dataset, name, tmp_path / "whole").files[0].bytes
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (whole // 2, before[1]))
    try:
        with pytest.raises(LoraTuiError):
            exporting.export(dataset, name, tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_an_exported_file_may_be_read_by_whom_the_umask_lets(dataset: Dataset, tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        exporting.export(dataset, "messages", tmp_path / "out")
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "out").iterdir()} == {0o666 & ~mask}
    (tmp_path / "out" / "test.jsonl").chmod(0o640)
    exporting.export(dataset, "messages", tmp_path / "out", force=True)
    assert (tmp_path / "out" / "test.jsonl").stat().st_mode & 0o777 == 0o640


_HALF_WAY = """
import os, signal, sys
from pathlib import Path
from lora_tui.workspace import atomic
with atomic.writing(Path(sys.argv[1])) as file:
    file.write(b"half")
    file.flush()
    if sys.argv[2] == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    print("there", flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_export_left_is_gone_after_the_next_and_what_another_is_writing_stays(
    dataset: Dataset, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    subprocess.run([sys.executable, "-c", _HALF_WAY, str(out / "train.jsonl"), "die"], check=False)
    command = [sys.executable, "-c", _HALF_WAY, str(out / "train.jsonl"), "live"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "there\n"
        assert len(list(out.iterdir())) == 2
        exporting.export(dataset, "messages", out)
        assert len([path for path in out.iterdir() if path.name.startswith(".")]) == 1
        other.communicate("")
    assert sorted(path.name for path in out.iterdir()) == ["test.jsonl", "train.jsonl", "validation.jsonl"]


def test_what_leaks_in_files_that_tell_their_splits_is_measured_and_told(workspace: Workspace, tmp_path: Path) -> None:
    code = "\n".join(f"let value_{n} = compute({n});" for n in range(30))
    folder = tmp_path / "splits"
    folder.mkdir()
    others = "\n".join(json.dumps(messages(f"Say {n}", f"It is {n}.")) for n in range(8))
    train = json.dumps(messages("Write it", f"```rust\n{code}\n```"))
    (folder / "train.jsonl").write_text(f"{train}\n{others}\n")
    (folder / "test.jsonl").write_text(json.dumps(messages("Write it again", f"Here:\n```rust\n{code}\n```")) + "\n")
    made = importing.import_(workspace, folder).dataset
    leakage = made.manifest.leakage
    assert (leakage.leaked, leakage.test_rows, leakage.pairs) == (1, 1, 1)
    assert 0 < leakage.at_random < 1
    assert any(note.startswith("1 of 1 test rows have a near-duplicate in train") for note in made.manifest.notes)
    (pair,) = [json.loads(text) for text in (made.folder / "leakage.jsonl").read_text().splitlines()]
    assert {pair["split"], pair["other_split"]} == {"train", "test"}
    assert list(troubles(made)) == []


def test_a_session_that_files_part_is_told_and_is_no_damage(workspace: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "parted"
    folder.mkdir()
    for number, split in enumerate(("train", "test")):
        (folder / f"{split}.jsonl").write_bytes(lines_of([agent_row(number, session="one", toolset="")]))
    made = importing.import_(workspace, folder).dataset
    assert "1 sessions have rows in more than one split, as the files have it" in made.manifest.notes
    assert list(troubles(made)) == []


def test_what_a_suite_asks_is_not_imported(workspace: Workspace, tmp_path: Path) -> None:
    asked = "Write a Rust function that returns the largest of three numbers without any standard library call at all."
    suites = workspace.profiles / "suites"
    suites.mkdir(parents=True)
    (suites / "mine.yaml").write_text(f"prompts: ['{{{{ask}}}}']\ntests: [{{vars: {{ask: '{asked}'}}}}]\n")
    path = tmp_path / "chats.jsonl"
    path.write_text("".join(json.dumps(messages(text, "Yes.")) + "\n" for text in (asked, "Something else")))
    made = importing.import_(workspace, path)
    assert made.dataset.manifest.rows["train"] == 1
    assert made.bad == 0
    assert made.dataset.manifest.left_out == {"like a prompt of the suite mine": 1}
    assert "mine" in made.dataset.manifest.suites
    path.write_text(json.dumps(messages(asked, "Yes.")) + "\n")
    with pytest.raises(BadInput, match="every row of it is like what a suite asks"):
        importing.import_(workspace, path)


def test_rows_that_were_in_test_stay_there_when_a_file_is_split_again_and_it_is_told_when_they_train(
    workspace: Workspace, tmp_path: Path
) -> None:
    path = tmp_path / "chats.jsonl"
    lines = [json.dumps(messages(f"Say {n}", f"It is {n}.")) + "\n" for n in range(60)]
    path.write_text("".join(lines[:30]))
    first = importing.import_(workspace, path, shares=(80, 10, 10)).dataset
    tested = {row.id for row in stored.rows(first, "test")}
    assert tested
    path.write_text("".join(lines))
    second = importing.import_(workspace, path, shares=(80, 10, 10), seed=7).dataset
    assert tested <= {row.id for row in stored.rows(second, "test")}
    assert second.manifest.previous == 1
    third = importing.import_(workspace, path).dataset
    both = len({row.id for row in stored.rows(second, "test")})
    assert any(note.startswith(f"{both} rows of train were in test") for note in third.manifest.notes)


def test_rows_that_are_never_tested_on_here_may_be_a_files_test(workspace: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "synthetic"
    folder.mkdir()
    for number, split in enumerate(("train", "validation", "test")):
        (folder / f"{split}.jsonl").write_bytes(lines_of([agent_row(number, origin="synthetic", toolset="")]))
    assert importing.import_(workspace, folder).dataset.manifest.rows == {"train": 1, "validation": 1, "test": 1}


def test_lines_that_are_no_rows_are_listed_and_the_others_are_in(workspace: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "My Chats.jsonl"
    good = json.dumps(messages("Hi", "Hello"))
    other = json.dumps({"instruction": "Say yes", "input": "", "output": "Yes"})
    file.write_bytes("\n".join([good, "{broken", "", '{"x": 1}', good, other]).encode() + b"\n" + b'"\xff"\n')
    made = importing.import_(workspace, file)
    assert made.dataset.label == "my-chats@1"
    assert made.formats == {"Alpaca": 1, "messages": 1}
    assert made.dataset.manifest.rows == {"train": 2, "validation": 0, "test": 0}
    assert made.bad == 4
    told = {problem.where: problem.reason for problem in made.problems}
    assert list(told) == ["My Chats.jsonl:2", "My Chats.jsonl:4", "My Chats.jsonl:5", "My Chats.jsonl:7"]
    assert told["My Chats.jsonl:5"] == "the same row twice: also My Chats.jsonl:1"
    listed = list(versions.rejected(made.dataset))
    assert listed[0].reason == "not JSON"
    assert listed[0].about.startswith("My Chats.jsonl:2: ")
    assert made.dataset.manifest.left_out["the same row twice"] == 1
    assert len(listed) == 4
    assert any("all rows are in train" in note for note in made.dataset.manifest.notes)


def test_a_file_can_be_split_where_it_comes_in(workspace: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "chats.jsonl.gz"
    file.write_bytes(gzip.compress("\n".join(json.dumps(messages(f"Ask {n}", f"Say {n}")) for n in range(50)).encode()))
    made = importing.import_(workspace, file, shares=(80, 10, 10))
    assert made.dataset.manifest.rows == {"train": 40, "validation": 5, "test": 5}


def test_rows_that_are_alike_are_not_torn_apart_by_a_split(workspace: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "chats.jsonl"
    words = [f"word{n}" for n in range(40)]
    twins = [messages("Explain it, please", " ".join([*words, f"end{n}"])) for n in range(4)]
    others = [messages(f"Ask {n}", f"Say {n}") for n in range(16)]
    file.write_text("\n".join(map(json.dumps, [*twins, *others])))
    made = importing.import_(workspace, file, shares=(50, 0, 50))
    held = {row.messages[1].content.split()[-1] for row in stored.rows_with_tools(made.dataset, "test")}
    assert made.dataset.manifest.rows["test"] > 0
    assert len([word for word in held if word.startswith("end")]) in (0, 4)
    assert made.dataset.manifest.leakage.leaked == 0


def test_no_secret_of_a_file_gets_into_the_version(workspace: Workspace, tmp_path: Path) -> None:
    text, (secret,) = filled("ghp_{a36}")
    calls = [{"type": "function", "id": "a", "function": {"name": "run", "arguments": json.dumps({"token": text})}}]
    row = {
        "messages": [
            {"role": "user", "content": f"My key is {text}"},
            {"role": "assistant", "content": None, "tool_calls": calls},
            {"role": "tool", "content": text, "tool_call_id": "a"},
            {"role": "assistant", "content": "Fine", "reasoning_content": f"so {text}"},
        ],
        "tools": [{"type": "function", "function": {"name": "run", "description": f"with {text}"}}],
        "model": text,
    }
    file = tmp_path / "chats.jsonl"
    file.write_text(json.dumps(row))
    made = importing.import_(workspace, file)
    for path in made.dataset.folder.iterdir():
        assert secret not in path.read_text(errors="replace"), path.name
    assert sum(made.dataset.manifest.findings.values()) >= 5
    (kept,) = stored.rows_with_tools(made.dataset, "train")
    assert kept.id == line.row_id(kept.messages)


def test_a_row_that_holds_a_private_key_stays_out(workspace: Workspace, tmp_path: Path) -> None:
    body, _ = filled("{B64}\n{B64}")
    key = f"-----BEGIN RSA PRIVATE KEY-----\n{body}\n-----END RSA PRIVATE KEY-----"
    file = tmp_path / "chats.jsonl"
    file.write_text(json.dumps(messages("Hi", "Hello")) + "\n" + json.dumps(messages(key, "Thanks")))
    made = importing.import_(workspace, file)
    assert [(problem.where, problem.reason) for problem in made.problems] == [
        ("chats.jsonl:2", "it holds a private key")
    ]


def test_of_a_row_that_stands_in_train_and_in_test_the_one_in_test_is_kept(
    workspace: Workspace, tmp_path: Path
) -> None:
    (tmp_path / "set").mkdir()
    both = json.dumps(messages("Hi", "Hello"))
    (tmp_path / "set" / "train.jsonl").write_text(both + "\n" + json.dumps(messages("Go", "Gone")))
    (tmp_path / "set" / "test-00000-of-00001.jsonl").write_text(both)
    made = importing.import_(workspace, tmp_path / "set")
    assert made.dataset.manifest.rows == {"train": 1, "validation": 0, "test": 1}
    assert [problem.where for problem in made.problems] == ["train.jsonl:1"]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.jsonl", "", "no row of it is a conversation"),
        ("numbers.json", "[1, 2]", "no object but a number"),
        ("image.parquet", "PAR1 and nothing", "cannot be read"),
    ],
)
def test_a_file_without_a_row_makes_no_version(
    name: str, content: str, reason: str, workspace: Workspace, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(BadInput, match=reason):
        importing.import_(workspace, tmp_path / name)
    assert versions.versions(workspace) == []


def test_the_format_that_was_asked_for_is_held_to(workspace: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "chats.jsonl"
    file.write_text(json.dumps(messages("Hi", "Hello")))
    with pytest.raises(BadInput, match="a row of messages, not of sharegpt"):
        importing.import_(workspace, file, format="sharegpt")


def test_together_gets_its_own_keys_alone_and_takes_what_it_gets(
    dataset: Dataset, workspace: Workspace, tmp_path: Path
) -> None:
    done = lora_tui(
        workspace, "dataset", "export", "rust", "--output", str(tmp_path / "out"), "--for", "together", "--json"
    )
    assert done.returncode == 0, done.stderr
    assert [item["rows"] for item in json.loads(done.stdout)["files"]] == [3, 1, 1]
    for row in map(json.loads, (tmp_path / "out" / "train.jsonl").read_text().split("\n")[:-1]):
        assert set(row) == {"messages", "tools"}
        assert [message["weight"] for message in row["messages"] if message["role"] == "assistant"] == [0, 1, 1]
        assert row["messages"][2]["reasoning"] == "thinking…"
    done = lora_tui(workspace, "dataset", "check", str(tmp_path / "out" / "train.jsonl"), "--for", "together")
    assert (done.returncode, done.stdout) == (0, f"{tmp_path / 'out' / 'train.jsonl'}: Together takes it\n")


def test_from_the_command_line_a_version_goes_out_and_comes_back(
    dataset: Dataset, workspace: Workspace, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = lora_tui(workspace, "dataset", "export", "rust@1", "--format", "sharegpt", "--output", str(out))
    assert done.returncode == 0, done.stderr
    assert f"{out / 'train.jsonl'}: 3 rows, " in done.stdout
    done = lora_tui(workspace, "dataset", "export", "rust@1", "--format", "sharegpt", "--output", str(out))
    assert done.returncode == 2
    assert "--force" in done.stderr
    done = lora_tui(workspace, "dataset", "import", str(out), "--name", "back", "--json")
    told = json.loads(done.stdout)
    assert (told["label"], told["bad"], told["edited"]) == ("back@1", 0, 0)
    assert told["rows"] == {"train": 3, "validation": 1, "test": 1}


def test_a_file_that_together_would_refuse_is_told_line_by_line(workspace: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "wrong.jsonl"
    file.write_text(json.dumps(messages("Hi", "Hello")) + "\n" + json.dumps(messages("Hi")) + "\nnot JSON\n")
    done = lora_tui(workspace, "dataset", "check", str(file), "--for", "together")
    assert done.returncode == 1
    first, second = done.stdout.splitlines()
    assert first.startswith(f"{file}:2: there is no message of an assistant")
    assert second.startswith(f"{file}:3: not JSON")
