"""`lora-tui augment` against a chat server on loopback: what is asked, what is kept, what a person gets to see."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from code_projects import ruby_project
from fakes.chat_server import ECHO, LATER, NO_FORMAT, REFUSE, chat_server
from lora_tui.cli.main import run
from lora_tui.curation import examples, labels
from lora_tui.curation.filters import Filter
from lora_tui.curation.reading import example
from lora_tui.curation.refresh import refresh
from lora_tui.sources import read
from lora_tui.sources.model import text_of
from lora_tui.workspace.layout import Workspace
from stories import calls as tool
from stories import store_session, user

Answer = Callable[[str, str], str]

REQUEST = "I need this for our shop: take {name} and make it behave as the documentation says, edge cases included."


def writes(prompt: str, **more: object) -> str:
    """A model's reply with a request."""
    return json.dumps({"intent": "a shop", "prompt": prompt, "needs_context": [], "forbidden": [], **more})


def wanted(text: str) -> str:
    """Whose code a question shows."""
    return re.findall(r"def (?:self\.)?(\w+)", text.split("CODE:")[-1].split("ANSWER")[-1])[0]


def model(ratings: dict[str, int] | None = None, special: dict[str, str] | None = None) -> Answer:
    """A model that writes a request for everything and rates it 5, but for what is told."""

    def answer(_: str, text: str) -> str:
        if text.startswith("MESSAGE:"):
            return json.dumps({"rating": (ratings or {}).get(wanted(text), 5), "why": "it says so"})
        name = wanted(text) if "CODE:" in text else "again"
        return (special or {}).get(name) or writes(REQUEST.format(name=name))

    return answer


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return ruby_project(tmp_path / "shop")


@pytest.fixture
def augment(workspace: Workspace, project: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """Run the command; its JSON document."""

    def command(*arguments: str, code: int = 0) -> dict[str, Any]:
        capsys.readouterr()
        given = ["--workspace", str(workspace.root), "augment", "--language", "ruby", "--repo", str(project)]
        assert run([*given, *arguments, "--json"]) == code
        data: dict[str, Any] = json.loads(capsys.readouterr().out or "{}")
        return data

    return command


def adds_up(data: dict[str, Any]) -> bool:
    """Whether every piece of code is in the funnel once."""
    stored = data["kept"] + data["low"]
    return bool(
        data["found"] == sum(data["left_out"].values()) + data["not_needed"] + data["tried"]
        and data["tried"] == sum(data["failed"].values()) + stored
    )


def stored(workspace: Workspace) -> dict[str, examples.ExampleRow]:
    """The augmented examples by the name of their code."""
    rows = examples.rows(workspace, examples.ids(workspace, Filter(sources=("augment",))))
    return {row.title.rsplit(".", 1)[-1].rsplit(" ", 1)[-1]: row for row in rows}


def test_the_answer_is_the_code_as_people_wrote_it_and_the_request_the_models(
    workspace: Workspace, project: Path, augment: Callable[..., dict[str, Any]]
) -> None:
    with chat_server(model()) as (url, seen):
        data = augment("--endpoint", url, "--model", "lab/writer")
    assert data["kept"] == 5
    assert data["failed"] == {"uses names that nobody gives": 1}
    assert adds_up(data)
    found = example(workspace, stored(workspace)["count_words"].id)
    assert text_of(found.messages[0]) == REQUEST.format(name="count_words")
    (call,) = [call for message in found.messages for call in message.tool_calls]
    assert json.loads(call.function.arguments) == {
        "filePath": "lib/words.rb",
        "content": (project / "lib/words.rb").read_text(),
    }
    assert found.row.model == "human code; request by lab/writer"
    assert found.row.title.startswith("augmented: implement")
    assert found.row.licence == "MIT"
    assert found.row.language == "ruby"
    assert {request["model"] for request in seen} == {"lab/writer"}
    assert all(request["response_format"] == {"type": "json_object"} for request in seen)


def test_a_share_and_everything_that_fits_badly_waits_for_a_person(
    workspace: Workspace, augment: Callable[..., dict[str, Any]]
) -> None:
    with chat_server(model(ratings={"total": 2, "readable": 3})) as (url, _):
        data = augment("--endpoint", url, "--model", "m")
    rows = stored(workspace)
    assert data["low"] == 2
    assert rows["total"].decision is None
    assert rows["readable"].decision is None
    assert data["accepted"] + data["queued"] == data["kept"] + data["low"]
    assert data["queue"] == "augmented-ruby"
    for row in rows.values():
        if row.decision == "accept":
            (label,) = labels.history(workspace, row.id)
            assert label.author == "augment"
            assert label.reason == "code by people; the request fits 5 of 5"


def test_an_acceptance_taken_back_is_not_given_again(
    workspace: Workspace, augment: Callable[..., dict[str, Any]]
) -> None:
    with chat_server(model()) as (url, _):
        first = augment("--endpoint", url, "--model", "m")
        assert first["accepted"]
        while labels.undo(workspace, "augment"):
            pass
        again = augment("--endpoint", url, "--model", "m", "--kinds", "implement", code=0)
    assert again["accepted"] == 0
    assert all(row.decision is None for row in stored(workspace).values())


def test_every_check_has_its_place_in_the_funnel(workspace: Workspace, augment: Callable[..., dict[str, Any]]) -> None:
    (workspace.profiles / "suites").mkdir(parents=True, exist_ok=True)
    asked = "Group what is in the basket by the kind of each item, and put what has no kind under other."
    (workspace.profiles / "suites" / "shop.yaml").write_text(
        f"tests:\n  - vars: {{prompt: '{asked}'}}\n    assert: [{{type: contains, value: def}}]\n"
    )
    special = {
        "total": writes("Please write: sum = items.sum { |item| item.price * item.count } and so on."),
        "readable": "I would rather not.",
        "grouped": writes(asked),
        "count_words": writes("Count words."),
        "again": "Still not.",
    }
    with chat_server(model(special=special)) as (url, _):
        data = augment("--endpoint", url, "--model", "m")
    assert data["failed"] == {
        "gives the answer away": 1,
        "the reply is not what was asked for": 1,
        "too short or too long a request": 1,
        "uses names that nobody gives": 1,
        "like a verification prompt": 1,
    }
    assert data["kept"] == 1  # the test
    assert adds_up(data)


def test_a_second_run_asks_nothing_and_stores_nothing_again(
    workspace: Workspace, augment: Callable[..., dict[str, Any]]
) -> None:
    with chat_server(model()) as (url, seen):
        augment("--endpoint", url, "--model", "m")
        calls = len(seen)
        data = augment("--endpoint", url, "--model", "m")
        assert len(seen) == calls
    assert data["left_out"]["there already"] == 5
    assert data["kept"] == 0
    assert data["calls"] == 0


def test_code_that_an_example_writes_already_is_left_out(
    workspace: Workspace, project: Path, augment: Callable[..., dict[str, Any]]
) -> None:
    code = (project / "lib/words.rb").read_text().replace("word", "wort", 1)
    store_session(
        workspace,
        "ses_1",
        [user("write a function that counts words"), *tool("write", {"filePath": "w.rb", "content": code}, "ok")],
    )
    refresh(workspace)
    with chat_server(model()) as (url, _):
        data = augment("--endpoint", url, "--model", "m")
    assert data["left_out"]["like another example"] == 1
    assert "count_words" not in stored(workspace)


def test_a_busy_server_is_asked_again(augment: Callable[..., dict[str, Any]]) -> None:
    refused: set[str] = set()
    inner = model()

    def answer(name: str, text: str) -> str:
        if text not in refused:
            refused.add(text)
            return LATER if len(refused) % 2 else REFUSE
        return inner(name, text)

    with chat_server(answer) as (url, _):
        data = augment("--endpoint", url, "--model", "m", "--count", "2")
    assert data["kept"] == 2


def test_a_server_that_knows_no_json_mode_is_asked_without_it(augment: Callable[..., dict[str, Any]]) -> None:
    inner = model()
    refusing = True

    def answer(name: str, text: str) -> str:
        nonlocal refusing
        if refusing:
            refusing = False
            return NO_FORMAT
        return inner(name, text)

    with chat_server(answer) as (url, seen):
        data = augment("--endpoint", url, "--model", "m", "--count", "2", "--concurrency", "1")
    assert data["kept"] == 2
    assert "response_format" not in seen[-1]


def test_a_wrong_key_stops_at_once_and_is_written_nowhere(
    workspace: Workspace,
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    key = "sk-" + "k3y" * 8
    monkeypatch.setenv("SHOP_KEY", key)
    with chat_server(lambda *_: ECHO) as (url, seen):
        given = ["--workspace", str(workspace.root), "augment", "--language", "ruby", "--repo", str(project)]
        code = run([*given, "--endpoint", url, "--model", "m", "--key-env", "SHOP_KEY"])
    printed = capsys.readouterr()
    assert code == 1
    assert "HTTP 401" in printed.err
    assert key not in printed.err + printed.out
    workspace.close()
    assert len(seen) <= 4
    for path in workspace.root.rglob("*"):
        assert not path.is_file() or key.encode() not in path.read_bytes()


def test_a_server_that_is_not_there_is_one_error_without_a_traceback(
    workspace: Workspace, project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    given = ["--workspace", str(workspace.root), "augment", "--language", "ruby", "--repo", str(project)]
    assert run([*given, "--endpoint", "http://127.0.0.1:9/v1", "--model", "m"]) == 1
    printed = capfd.readouterr().err
    assert "m does not answer" in printed
    assert "Is the server running?" in printed
    assert "Traceback" not in printed


def test_the_key_goes_to_the_server_and_into_no_file(
    workspace: Workspace, augment: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "sk-" + "k3y" * 8
    monkeypatch.setenv("SHOP_KEY", key)
    with chat_server(model()) as (url, _):
        assert augment("--endpoint", url, "--model", "m", "--key-env", "SHOP_KEY")["kept"]
    workspace.close()
    files = [path for path in workspace.root.rglob("*") if path.is_file()]
    assert any("cache" in path.parts for path in files)
    assert not [path for path in files if key.encode() in path.read_bytes()]


def test_calls_are_limited_and_the_next_run_goes_on(augment: Callable[..., dict[str, Any]]) -> None:
    with chat_server(model()) as (url, seen):
        first = augment("--endpoint", url, "--model", "m", "--max-calls", "5", "--concurrency", "1")
        assert len(seen) == 5
        assert "limit of 5 calls" in first["stopped"]
        assert adds_up(first)
        second = augment("--endpoint", url, "--model", "m")
    assert first["kept"] + second["kept"] == 5
    assert len(seen) == 11  # two for each of the five, one for the one that names too much


def test_the_cost_is_limited_before_it_is_spent(augment: Callable[..., dict[str, Any]]) -> None:
    prices = ["--price-in", "1", "--price-out", "5000", "--max-cost", "8"]  # a call costs 0.1, and could cost 7.5
    with chat_server(model()) as (url, _):
        data = augment("--endpoint", url, "--model", "m", *prices)
    assert 0.1 <= data["cost"] <= 8  # the last call might have been a long one
    assert "more than the limit" in data["stopped"]


def test_the_estimate_comes_before_anything_is_asked(
    workspace: Workspace, augment: Callable[..., dict[str, Any]]
) -> None:
    with chat_server(model()) as (url, seen):
        data = augment("--endpoint", url, "--model", "m", "--dry-run", "--price-in", "1", "--price-out", "2")
        assert not seen
        assert data["candidates"] == 6
        assert data["estimate"]["calls"] == 12
        assert data["estimate"]["cost"] > 0
        measured = augment("--endpoint", url, "--model", "m", "--dry-run", "--measure")
        assert len(seen) == 1
        assert measured["estimate"]["seconds"] > 0
    assert not stored(workspace)


def test_without_an_endpoint_templates_write_the_requests_and_say_so(
    workspace: Workspace, augment: Callable[..., dict[str, Any]]
) -> None:
    data = augment()
    rows = stored(workspace)
    assert adds_up(data)
    assert {"total", "readable", "count_words", "grouped"} <= set(rows)
    assert {row.model for row in rows.values()} == {"human code; request by template"}
    assert rows["grouped"].decision is None
    assert data["low"] == 2  # the method and the test without a doc comment
    again = augment()
    assert again["kept"] + again["low"] == 0
    assert again["left_out"]["there already"] == 5


def test_mined_commits_become_requests_to_fix(
    workspace: Workspace, project: Path, augment: Callable[..., dict[str, Any]]
) -> None:
    git = ["git", "-C", str(project), "-c", "user.name=Ann", "-c", "user.email=ann@example.org"]
    words = project / "lib/words.rb"
    good = words.read_text()
    subprocess.run(["git", "init", "-q", str(project)], check=True)
    words.write_text(good.replace("downcase.", ""))
    for message in ("Add words", "Fix counting of words in capital letters"):
        subprocess.run([*git, "add", "-A"], check=True)
        subprocess.run([*git, "commit", "-q", "-m", message], check=True)
        words.write_text(good)
    assert run(["--workspace", str(workspace.root), "mine", str(project)]) == 0
    asked: list[str] = []

    def answer(_: str, text: str) -> str:
        asked.append(text)
        return (
            '{"rating": 5}'
            if text.startswith("MESSAGE")
            else writes("Words in capitals are counted apart, why is that?")
        )

    with chat_server(answer) as (url, _):
        data = augment("--endpoint", url, "--model", "m", "--kinds", "fix")
    assert data["kept"] == 1
    assert "BEFORE" in asked[0]
    (row,) = read.sessions(workspace, "augment")
    assert "fix" in row.title
    (made,) = stored(workspace).values()
    found = example(workspace, made.id)
    assert text_of(found.messages[0]).startswith("Words in capitals")
    edits = [
        json.loads(c.function.arguments) for m in found.messages for c in m.tool_calls if c.function.name == "edit"
    ]
    assert edits
    assert all("downcase" in edit["newString"] and "downcase" not in edit["oldString"] for edit in edits)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--language", "cobol"], "cannot cut cobol code"),
        (["--language", "ruby", "--kinds", "poem"], "no kind 'poem'"),
        (["--language", "ruby", "--endpoint", "http://127.0.0.1:1/v1"], "which model"),
        (["--language", "ruby", "--endpoint", "ftp://x", "--model", "m"], "no usable URL"),
        (["--language", "ruby", "--endpoint", "http://me:secret@x/v1", "--model", "m"], "no user, password"),
        (
            ["--language", "ruby", "--endpoint", "http://x/v1", "--model", "m", "--key-env", "NOT_SET"],
            "$NOT_SET is empty",
        ),
        (["--language", "ruby", "--endpoint", "http://x/v1", "--model", "m", "--max-cost", "1"], "needs prices"),
        (["--language", "go"], "no go code to use"),
    ],
)
def test_mistakes_are_one_clear_error(
    workspace: Workspace, project: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    assert run(["--workspace", str(workspace.root), "augment", "--repo", str(project), *arguments]) == 2
    printed = capsys.readouterr().err
    assert says in printed
    assert "secret" not in printed
    assert "Traceback" not in printed


@pytest.fixture
def interruptible() -> Iterator[None]:
    """What is started may be interrupted, also where the tests run in the background and interrupts are ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_killed_or_interrupted_it_keeps_what_is_done_and_goes_on(workspace: Workspace, project: Path) -> None:
    inner = model()
    with chat_server(inner, pause=0.3) as (url, seen):
        command = [sys.executable, "-m", "lora_tui", "--workspace", str(workspace.root), "augment"]
        command += ["--language", "ruby", "--repo", str(project), "--endpoint", url, "--model", "m"]
        command += ["--concurrency", "1", "--yes", "--json"]
        for stop, code, calls in ((signal.SIGKILL, -signal.SIGKILL, 4), (signal.SIGINT, 130, 2)):  # of 10
            begun = len(seen)
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=os.environ)
            deadline = time.monotonic() + 60
            while len(seen) < begun + calls and time.monotonic() < deadline:
                time.sleep(0.02)
            process.send_signal(stop)
            out, _ = process.communicate(timeout=60)
            assert process.returncode == code
        interrupted = json.loads(out)
        assert interrupted["stopped"] == "interrupted"
        assert adds_up(interrupted)
        assert interrupted["accepted"] + interrupted["queued"] >= 2  # what the killed one stored is settled too
        last = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert len(read.sessions(workspace, "augment")) == 5
    assert len(seen) <= 11 + 2  # only what was under way when it was stopped is asked again
    assert last["accepted"] + interrupted["accepted"] + last["queued"] == 5


@pytest.mark.skipif("LORA_TUI_CHAT_URL" not in os.environ, reason="LORA_TUI_CHAT_URL names no server")
def test_a_true_endpoint_writes_requests(augment: Callable[..., dict[str, Any]]) -> None:
    url, name = os.environ["LORA_TUI_CHAT_URL"], os.environ.get("LORA_TUI_CHAT_MODEL", "default")
    data = augment("--endpoint", url, "--model", name, "--count", "2")
    assert adds_up(data)
    assert data["calls"] >= 2
    assert "no answer" not in data["failed"]


def test_a_definition_with_a_secret_is_shown_to_no_model(
    workspace: Workspace, project: Path, augment: Callable[..., dict[str, Any]]
) -> None:
    token = "ghp_" + "aB3" * 12
    keys = f"def server_token(name)\n  token = '{token}'\n  puts name\n  token + name\nend\n"
    order = (
        "# Sends an order to the server and tells what it came to.\n"
        "def send_order(order)\n"
        "  first = order.lines.map { |line| line.total * 2 }\n"
        "  key = server_token(order.name)\n"
        "  amount = first.sum + order.tax * 3\n"
        "  post(key, amount, order.name)\n"
        "  amount\n"
        "end\n"
    )
    (project / "lib" / "order.rb").write_text(order)
    (project / "lib" / "keys.rb").write_text(keys)
    special = {"send_order": writes(REQUEST.format(name="send_order"), needs_context=["server_token"])}
    with chat_server(model(special=special)) as (url, asked):
        data = augment("--endpoint", url, "--model", "test", "--count", "50")
    assert adds_up(data)
    assert any("send_order" in json.dumps(one) for one in asked)
    assert token not in json.dumps(asked)
    assert token not in str([example(workspace, row.id) for row in stored(workspace).values()])
    assert not [path for path in workspace.root.rglob("*.json") if token in path.read_text(errors="replace")]
