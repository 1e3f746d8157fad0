"""The rebuilt conversations against what the real opencode sent to its model, request by request.

Runs when $OPENCODE_BIN names the program (npm install opencode-ai@1.18.33 --ignore-scripts brings
node_modules/opencode-linux-x64/bin/opencode). The model is a script on loopback; nothing leaves the machine.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from scripted_model import ScriptedModel

from lora_tui.sources import read
from lora_tui.sources.ingest import ingest
from lora_tui.sources.model import Message, as_sent
from lora_tui.workspace.layout import Workspace

BIN = os.environ.get("OPENCODE_BIN", "")

pytestmark = pytest.mark.skipif(not BIN, reason="set OPENCODE_BIN to opencode's program to compare with it")

_MODEL = {"providerID": "script", "modelID": "coder"}


def _png() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return len(data).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")

    header = chunk(b"IHDR", (8).to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0]))
    rows = zlib.compress((b"\0" + b"\x80\x20\x40" * 8) * 8)
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


class Agent:
    """The real opencode with its own home, a project folder and the scripted model."""

    def __init__(self, home: Path, model: ScriptedModel) -> None:
        self.model = model
        self.data = home / "data" / "opencode"
        self.project = home / "project"
        self.project.mkdir(parents=True)
        (self.project / "calc.py").write_text("def add(a, b):\n    return a - b\n")
        (self.project / "dot.png").write_bytes(_png())
        config = {
            "$schema": "https://opencode.ai/config.json",
            "model": "script/coder",
            "provider": {
                "script": {
                    "npm": "@ai-sdk/openai-compatible",
                    "options": {"baseURL": model.url},
                    "models": {
                        "coder": {
                            "tool_call": True,
                            "reasoning": True,
                            "attachment": True,
                            "modalities": {"input": ["text", "image", "pdf"], "output": ["text"]},
                            "limit": {"context": 200_000, "output": 4_096},
                        }
                    },
                }
            },
            "permission": {"*": "allow", "external_directory": "allow"},
        }
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            **{f"XDG_{name}_HOME": str(home / name.lower()) for name in ("DATA", "CONFIG", "CACHE", "STATE")},
            **{
                f"OPENCODE_DISABLE_{name}": "1"
                for name in ("AUTOUPDATE", "MODELS_FETCH", "LSP_DOWNLOAD", "SHARE", "DEFAULT_PLUGINS", "CLAUDE_CODE")
            },
            "OPENCODE_CONFIG_CONTENT": json.dumps(config),
            "PWD": str(self.project),
        }

    def run(self, *arguments: str, stdin: str = "") -> None:
        """One `opencode run`."""
        done = subprocess.run(
            [BIN, "run", *arguments],
            cwd=self.project,
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    @contextmanager
    def serve(self) -> Iterator[httpx.Client]:
        """`opencode serve`, until the caller is done."""
        server = subprocess.Popen(
            [BIN, "serve", "--port", "0", "--hostname", "127.0.0.1"],
            cwd=self.project,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            assert server.stdout is not None
            url = ""
            for line in server.stdout:
                if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                    url = found[0]
                    break
            assert url, "opencode serve said no address"
            threading.Thread(target=server.stdout.read, daemon=True).start()
            with httpx.Client(base_url=url, timeout=90) as client:
                yield client
        finally:
            server.terminate()
            server.wait(20)


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    model = ScriptedModel()
    agent = Agent(tmp_path_factory.mktemp("opencode"), model)
    _drive_runs(agent)
    _drive_server(agent)
    yield agent
    model.close()


def _drive_runs(agent: Agent) -> None:
    agent.model.will(
        {"reasoning": "Look first.", "text": "Reading it.", "calls": [("read", {"filePath": "calc.py"})]},
        {"calls": [("bash", {"command": "python3 -c 'print(1)'"}), ("bash", {"command": "echo é; exit 3"})]},
        {"text": "", "calls": [("read", {"filePath": "missing.py"})]},
        {"text": "Done with that."},
    )
    agent.run(stdin="[S1] fix the sign in calc.py")
    agent.model.will({"reasoning": "Just answer.", "text": "It adds."})
    agent.run("--continue", stdin="what does it do now?")
    agent.model.will({"text": "I see a function."})
    agent.run("-f", "calc.py", "--", "[S2] explain")


def _drive_server(agent: Agent) -> None:
    will = agent.model.will
    with agent.serve() as client:

        def post(path: str, body: dict[str, Any]) -> Any:
            answer = client.post(path, json=body)
            assert answer.status_code < 300, (path, answer.status_code, answer.text)
            return answer.json() if answer.content else None

        def say(session: str, *parts: dict[str, Any], **more: Any) -> Any:
            return post(f"/session/{session}/message", {"model": _MODEL, "parts": list(parts), **more})

        def text(words: str) -> dict[str, Any]:
            return {"type": "text", "text": words}

        # pictures, from the user and from a tool; a text file the way the app attaches it
        session = post("/session", {})["id"]
        picture = f"data:image/png;base64,{base64.b64encode(_png()).decode()}"
        will({"text": "A dot."})
        dot = {"type": "file", "mime": "image/png", "filename": "d.png", "url": picture}
        say(session, text("[S3] what is this?"), dot)
        will({"calls": [("read", {"filePath": str(agent.project / "dot.png")})]}, {"text": "The same dot."})
        say(session, text("and the one on disk?"))
        will({"text": "Read."})
        calc = (agent.project / "calc.py").as_uri()
        say(session, text("and this?"), {"type": "file", "mime": "text/plain", "filename": "calc.py", "url": calc})

        # a command of the user, a note without an answer, a failed edit, arguments that are no JSON, an unknown tool
        session = post("/session", {})["id"]
        post(f"/session/{session}/shell", {"agent": "build", "model": _MODEL, "command": "echo [S4] hello"})
        say(session, text("a note"), noReply=True)
        will(
            {"calls": [("edit", {"filePath": str(agent.project / "calc.py"), "oldString": "zz", "newString": "y"})]},
            {"calls": [("bash", '{"command": "ls"')]},
            {"calls": [("multiedit", {"a": 1})]},
            {"calls": [("bash", {})]},
            {"text": "I give up."},
        )
        say(session, text("and what did it print?"), text("second text"))

        # work the user delegates
        session = post("/session", {})["id"]
        will({"text": "Hello"})
        say(session, text("[S5] hello"))
        will({"text": "A haiku."}, {"text": "It wrote a haiku."})
        say(session, {"type": "subtask", "agent": "general", "description": "poem", "prompt": "[S6] a haiku please"})
        will({"text": "And on."})
        say(session, text("go on"))

        # a stop in the middle, then more
        session = post("/session", {})["id"]
        will({"text": "Running it.", "calls": [("bash", {"command": "echo early; sleep 60"})]})
        waiting = threading.Thread(target=lambda: _quietly(lambda: say(session, text("[S7] something slow"))))
        waiting.start()
        _wait_until(lambda: '"running"' in json.dumps(client.get(f"/session/{session}/message").json()))
        post(f"/session/{session}/abort", {})
        waiting.join(30)
        will({"text": "Fine."})
        say(session, text("never mind then"))

        # compaction by hand, then more
        session = post("/session", {})["id"]
        will({"calls": [("bash", {"command": "echo before"})]}, {"text": "Said before."})
        say(session, text("[S8] something long"))
        post(f"/session/{session}/summarize", _MODEL)
        will({"text": "After it."})
        say(session, text("and after?"))

        # a copy that goes its own way, and an undone request
        session = post("/session", {})["id"]
        will({"calls": [("bash", {"command": "echo fork"})]}, {"text": "One."})
        say(session, text("[S9] count"))
        fork = post(f"/session/{session}/fork", {})["id"]
        will({"text": "Two, in the copy."})
        say(fork, text("next"))
        will({"text": "Two."})
        undone = say(session, text("next, here"))["info"]
        post(f"/session/{session}/revert", {"messageID": undone["parentID"]})


def _quietly(action: Any) -> None:
    try:
        action()
    except (AssertionError, httpx.HTTPError):
        pass


def _wait_until(true: Any) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, "it did not happen within a minute"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def conversations(agent: Agent, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Message]]:
    """Every session's rebuilt messages, by native id."""
    workspace = Workspace(tmp_path_factory.mktemp("workspace"))
    ingest(workspace, "opencode", [agent.data])
    return {row.native_id: list(read.messages(workspace, row.id)) for row in read.sessions(workspace)}


def test_every_request_is_a_beginning_of_a_rebuilt_conversation(
    agent: Agent, conversations: dict[str, list[Message]]
) -> None:
    rebuilt = []
    for messages in conversations.values():
        messages = [message for message in messages if message.about.origin != "error"]
        sent = [_wire(message) for message in messages]
        rebuilt.append(sent)
        rebuilt += [  # after a compaction the history begins with it
            sent[index:] for index, message in enumerate(messages) if _begins_compaction(message)
        ]
    requests = [body for body in agent.model.requests if body.get("tools")]
    assert len(requests) >= 25
    misses = []
    for body in requests:
        messages = [message for message in body["messages"] if message["role"] != "system"]
        if not any(sent[: len(messages)] == messages for sent in rebuilt):
            misses.append((messages, max(rebuilt, key=lambda sent: _same(sent, messages))))
    for asked, nearest in misses:
        place = _same(nearest, asked)
        print(f"\nsent:    {asked[place:][:1]}\nrebuilt: {nearest[place:][:1]}")
    assert not misses, f"{len(misses)} of {len(requests)} requests differ"


def test_what_the_user_undid_is_marked(conversations: dict[str, list[Message]]) -> None:
    found = [[message.about.reverted for message in messages] for messages in conversations.values()]
    assert [False] * 4 + [True, True] in found


def test_the_users_own_commands_are_told_apart(conversations: dict[str, list[Message]]) -> None:
    by_origin: dict[str, set[str]] = {}
    for messages in conversations.values():
        for message in messages:
            by_origin.setdefault(message.about.origin, set()).add(message.role)
    assert by_origin["shell"] == {"user", "assistant", "tool"}
    assert by_origin["subtask"] == {"user", "assistant", "tool"}
    assert by_origin["compaction"] == {"user", "assistant"}


def _begins_compaction(message: Message) -> bool:
    return message.role == "user" and message.about.origin == "compaction"


def _wire(message: Message) -> dict[str, Any]:
    sent = as_sent(message)
    return {key: value for key, value in sent.items() if key == "content" or value}


def _same(one: list[Any], other: list[Any]) -> int:
    """How many messages two conversations share from the beginning."""
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
