"""A row of a dataset token by token: what is marked is what trains, and what cannot be shown says why."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lora_tui.backends.token_view import Looker
from lora_tui.dataset.model import Manifest
from lora_tui.jobs.audit import LeftOut
from lora_tui.jobs.token_view import View
from lora_tui.worker.loading import load_tokenizer
from lora_tui.worker.rows import read_rows
from lora_tui.worker.tokenize import tokenize
from lora_tui.workspace import toml
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.layout import Workspace

pytestmark = pytest.mark.engine

IGNORED = -100
OUTPUT = "".join(f"{number}: fn line() {{}}\n" for number in range(40))


def call(name: str, identity: str, **arguments: str) -> dict[str, Any]:
    function = {"name": name, "arguments": json.dumps(arguments)}
    return {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"id": identity, "type": "function", "function": function}],
    }


def result(identity: str, text: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": identity, "content": text}


def said(role: str, text: str, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": text, **more}


def work(number: int) -> list[dict[str, Any]]:
    return [
        said("user", f"Improve number {number}."),
        call("read", "c1", path=f"f{number}.rs"),
        result("c1", OUTPUT),
        call("edit", "c2", path=f"f{number}.rs", new="fn better() {}"),
        result("c2", "ok"),
        said("assistant", "Done."),
    ]


ROWS: list[dict[str, Any]] = [
    {
        "id": "a1b2c3d4",
        "messages": [
            said("system", "You write Rust."),
            said("user", "Löse \x1b[31mdas\x1b[0m: 日本語, e\u0301, 👩\u200d👩\u200d👧, and <|im_end|> typed."),
            said("assistant", "fn f() -> i32 {\n\t42\n}\n\nDone 🎉"),
            said("user", "Again?"),
            said("assistant", "No.", weight=0),
            said("user", "Why?"),
            said("assistant", "Because."),
        ],
    },
    {"id": "a1ffffff", "messages": [message for number in range(4) for message in work(number)]},
    {"id": "b0b0b0b0", "messages": [said("user", "only a question")]},
    {
        "id": "c0c0c0c0",
        "messages": [said("user", "x"), {"role": "assistant", "content": [{"type": "image_url", "image_url": {}}]}],
    },
    {
        "id": "d0d0d0d0",
        "toolset": "mine",
        "messages": [said("user", "list"), call("ls", "c1", path="."), result("c1", "")],
    },
]
TOOLS = {"mine": [{"type": "function", "function": {"name": "ls", "description": "Lists.", "parameters": {}}}]}


@pytest.fixture
def version(workspace: Workspace) -> Path:
    """odd@1, a version in the workspace; one row in train and in test."""
    folder = workspace.datasets / "odd" / "1"
    folder.mkdir(parents=True)
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    (folder / "validation.jsonl").write_text("")
    (folder / "test.jsonl").write_text(json.dumps({"id": "e0e0e0e0", "messages": ROWS[0]["messages"][:3]}) + "\n")
    (folder / "tools.json").write_text(json.dumps(TOOLS))
    manifest = Manifest(
        name="odd",
        version=1,
        created=1.0,
        hash="",
        seed=1,
        split=(80, 10, 10),
        split_rule="by hand",
        rows={"train": len(ROWS), "validation": 0, "test": 1},
        files={},
    )
    (folder / "manifest.toml").write_text(toml.dump(manifest))
    return folder


@pytest.fixture(scope="module")
def looker(tiny_base: Path) -> Iterator[Looker]:
    found = Looker(str(tiny_base))
    yield found
    found.close()


def trained(view: View) -> list[tuple[list[int], list[int]]]:
    """(ids, learned tokens per piece) of each part that is trained on."""
    return [
        ([identity for piece in part.pieces for identity in piece.ids], [piece.loss for piece in part.pieces])
        for part in view.kept
    ]


@pytest.mark.parametrize("max_length", [60, 400, 900, 100_000])
def test_what_is_marked_is_exactly_what_trains(version: Path, tiny_base: Path, looker: Looker, max_length: int) -> None:
    tokenizer = load_tokenizer(str(tiny_base))
    shown_parts = 0
    for row in read_rows(version, "train"):
        view = looker.ask(version, "train", row.id, max_length)
        made = list(tokenize(tokenizer, [row], "train", max_length))
        kept = [item for item in made if not isinstance(item, LeftOut)]
        shown = view.kept
        assert [part.tokens for part in shown] == [len(item.input_ids) for item in kept]
        for part, item in zip(shown, kept, strict=True):
            place = 0
            for piece in part.pieces:
                labels = item.labels[place : place + len(piece.ids)]
                assert list(piece.ids) == item.input_ids[place : place + len(piece.ids)]
                assert piece.loss == sum(label != IGNORED for label in labels)
                place += len(piece.ids)
            assert place == len(item.input_ids)
            assert part.loss_tokens == item.loss_tokens
            shown_parts += 1
        left = [item for item in made if isinstance(item, LeftOut)]
        assert {part.left_out for part in view.parts if part.left_out} == {item.reason for item in left} - {"not_text"}
        assert bool(view.left_out) == (not kept)
    assert shown_parts


def test_every_character_is_shown_once_and_whole(version: Path, looker: Looker, tiny_base: Path) -> None:
    view = looker.ask(version, "", "a1b2", 1000)
    (part,) = view.parts
    messages = ROWS[0]["messages"]
    rendered = load_tokenizer(str(tiny_base)).apply_chat_template(messages, tokenize=False)
    assert "".join(piece.text for piece in part.pieces) == rendered
    emoji = next(piece for piece in part.pieces if "🎉" in piece.text)
    assert len(emoji.ids) > 1
    assert emoji.loss == len(emoji.ids)
    assert sum(len(piece.ids) for piece in part.pieces) == part.tokens == view.tokens
    named = [piece for piece in part.pieces if piece.name == "<|im_end|>"]
    assert len(named) == len(messages) + 1  # the one that was typed is as special as the others


def test_messages_begin_where_the_template_begins_them(version: Path, looker: Looker) -> None:
    (part,) = looker.ask(version, "", "a1b2", 1000).parts
    assert [head.message for head in part.heads] == list(range(7))
    for head, message in zip(part.heads, ROWS[0]["messages"], strict=True):
        opening = "".join(piece.text for piece in part.pieces[head.piece : head.piece + 12])
        assert opening.startswith(f"<|im_start|>{message['role']}\n{message['content'][:1]}")
    assert [item.weight for item in looker.ask(version, "", "a1b2", 1000).messages] == [1, 1, 1, 1, 0, 1, 1]


def test_a_long_row_is_cut_at_its_user_turns_and_every_turn_is_learned_once(version: Path, looker: Looker) -> None:
    whole = looker.ask(version, "", "a1ff", 100_000)
    view = looker.ask(version, "", "a1ff", whole.tokens * 2 // 5)
    assert len(view.parts) > 1
    assert [part.at for part in view.parts] == ["", *["user turn"] * (len(view.parts) - 1)]
    learned: list[int] = []
    for part in view.parts:
        for number, head in enumerate(part.heads):
            end = part.heads[number + 1].piece if number + 1 < len(part.heads) else len(part.pieces)
            if any(piece.loss for piece in part.pieces[head.piece : end]):
                learned.append(head.message)
    turns = [number for number, message in enumerate(ROWS[1]["messages"]) if message["role"] == "assistant"]
    assert sorted(learned) == turns
    assert view.loss_tokens == whole.loss_tokens


def test_a_part_that_fits_nowhere_is_shown_between_those_that_do(version: Path, looker: Looker) -> None:
    view = looker.ask(version, "", "a1ff", 100)
    assert [part.left_out for part in view.parts] == ["too_long", ""] * 4
    assert [part.at for part in view.parts] == ["", "edit", *["user turn", "edit"] * 3]
    for number, part in enumerate(view.parts[::2]):
        text = "".join(piece.text for piece in part.pieces)
        assert f"Improve number {number}." in text
        assert OUTPUT in text
        assert sum(len(piece.ids) for piece in part.pieces) == part.tokens > 100
        assert not any(piece.loss for piece in part.pieces)


def test_rows_that_are_left_out_are_shown_with_the_reason(version: Path, looker: Looker) -> None:
    context = looker.ask(version, "", "b0b0", 100)
    assert context.left_out == "no_loss"
    assert "".join(piece.text for piece in context.parts[0].pieces).count("only a question") == 1
    assert looker.ask(version, "", "c0c0", 100).left_out == "not_text"
    short = looker.ask(version, "", "a1b2", 12)
    assert short.left_out == "too_long"
    assert short.loss_tokens == 0


def test_a_row_that_the_template_refuses_says_so_in_its_words(version: Path, tiny_base: Path, tmp_path: Path) -> None:
    base = tmp_path / "strict"
    shutil.copytree(tiny_base, base)
    template = "{%- if messages[0].role == 'system' %}{{ raise_exception('no system role here') }}{%- endif %}"
    for path in (base / "chat_template.jinja",):
        path.write_text(template + path.read_text())
    looker = Looker(str(base))
    try:
        view = looker.ask(version, "", "a1b2", 100)
        assert view.left_out == "not_rendered"
        assert "no system role here" in view.about
        assert [item.role for item in view.messages][:2] == ["system", "user"]
        assert looker.ask(version, "", "train:5", 1000).loss_tokens  # and the next row is answered
    finally:
        looker.close()


def test_the_tools_of_a_row_are_part_of_what_the_model_sees(version: Path, looker: Looker) -> None:
    (part,) = looker.ask(version, "", "d0d0", 1000).parts
    assert '"Lists."' in "".join(piece.text for piece in part.pieces)


def test_a_row_is_found_by_id_beginning_or_place(version: Path, looker: Looker) -> None:
    assert looker.ask(version, "", "train:3", 100).row == "b0b0b0b0"
    found = looker.ask(version, "test", "e0", 1000)
    assert (found.row, found.split, found.number) == ("e0e0e0e0", "test", 1)
    with pytest.raises(BadInput, match="no row 'a1b9'") as unknown:
        looker.ask(version, "", "a1b9", 100)
    assert unknown.value.fix.split(": ")[-1].startswith("a1b2c3d4, a1ffffff")
    with pytest.raises(BadInput, match="several rows begin with 'a1'") as several:
        looker.ask(version, "", "a1", 100)
    assert "a1b2c3d4" in several.value.fix
    assert "a1ffffff" in several.value.fix
    with pytest.raises(BadInput, match="no row test:2") as beyond:
        looker.ask(version, "", "test:2", 100)
    assert "1 row" in beyond.value.fix
    with pytest.raises(BadInput, match="no row 'e0'"):
        looker.ask(version, "train", "e0", 100)


def test_a_base_that_is_not_there_is_told_and_leaves_no_process(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no base model here"):
        Looker(str(tmp_path / "nothing"))


def test_a_killed_tokenizer_is_told_and_a_closed_one_too(version: Path, tiny_base: Path) -> None:
    looker = Looker(str(tiny_base))
    os.kill(looker._process.pid, signal.SIGKILL)
    with pytest.raises(LoraTuiError, match="process is gone: it was ended by signal 9"):
        looker.ask(version, "", "a1b2", 100)
    assert not looker.alive
    looker.close()
    with pytest.raises(LoraTuiError, match="closed"):
        looker.ask(version, "", "a1b2", 100)


def test_the_process_ends_with_whoever_asked(tiny_base: Path) -> None:
    script = (
        "import sys, time\n"
        "from lora_tui.backends.token_view import Looker\n"
        f"looker = Looker({str(tiny_base)!r})\n"
        "print(looker._process.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    client = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert client.stdout is not None
    worker = int(client.stdout.readline())
    assert _runs(worker)
    client.kill()
    client.wait()
    client.stdout.close()
    end = time.monotonic() + 30
    while _runs(worker):
        assert time.monotonic() < end, "the tokenizer outlived its client"
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def lora(workspace: Workspace, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lora_tui", "--workspace", str(workspace.root), "dataset", "tokens", *arguments],
        capture_output=True,
        text=True,
        env=os.environ | environment,
        timeout=120,
        check=False,
    )


def test_the_command_shows_a_row_without_colour(workspace: Workspace, version: Path, tiny_base: Path) -> None:
    done = lora(workspace, "odd@1", "a1b2", "--model", str(tiny_base), COLUMNS="60")
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    told = done.stdout.splitlines()
    assert told[0].startswith("train:1  ")
    assert "max_length 4,096" in done.stdout
    at = told.index("  ‹im_start›assistant↵")
    assert told[at + 1 : at + 6] == ["▌ ⟦fn f() -> i32 {↵", "▌ ⇥   42↵", "▌ }↵", "▌ ↵", "▌ Done 🎉‹im_end›↵⟧"]
    assert "weight 0: not learned" in done.stdout
    assert "␛[31m" in done.stdout


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [({"TERM": "xterm"}, True), ({"TERM": "xterm", "NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
)
def test_on_a_terminal_what_is_learned_has_a_colour_unless_none_is_wanted(
    workspace: Workspace, version: Path, tiny_base: Path, environment: dict[str, str], coloured: bool
) -> None:
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "lora_tui", "--workspace", str(workspace.root), "dataset", "tokens", "odd", "a1b2"]
    process = subprocess.Popen(
        [*command, "--model", str(tiny_base)], stdout=theirs, env=os.environ | {"COLUMNS": "80"} | environment
    )
    os.close(theirs)
    printed = _everything(ours).decode()
    assert process.wait() == 0
    learned = next(line for line in printed.splitlines() if "Because" in re.sub(r"\x1b\[[0-9;]*m", "", line))
    assert ("\x1b[1;32m" in learned) == coloured
    assert ("\x1b" in printed) == coloured
    assert "\x1b[31mdas" not in printed


def _everything(terminal: int) -> bytes:
    found = b""
    try:
        while data := os.read(terminal, 1 << 16):
            found += data
    except OSError:  # Linux says EIO when the other side has closed
        pass
    os.close(terminal)
    return found


def test_the_command_speaks_to_programs_and_names_what_is_missing(
    workspace: Workspace, version: Path, tiny_base: Path
) -> None:
    done = lora(workspace, "odd", "a1ff", "--model", str(tiny_base), "--max-length", "900", "--json")
    found = json.loads(done.stdout)
    assert found["dataset"] == "odd@1"
    assert found["row"] == "a1ffffff"
    assert len(found["parts"]) > 1
    assert found["parts"][1]["at"] == "user turn"
    assert sum(piece["loss"] for part in found["parts"] for piece in part["pieces"]) == found["loss_tokens"]
    assert lora(workspace, "odd", "zzz", "--model", str(tiny_base)).returncode == 2
    missing = lora(workspace, "odd", "a1b2")
    assert missing.returncode == 2
    assert "--model" in missing.stderr
