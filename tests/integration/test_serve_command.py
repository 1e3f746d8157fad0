"""`serve`, `promote` and `rollback` as a person types them; the engines that are not llama.cpp."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from fakes.ollama import FakeOllama
from lora_tui.adapters.serving import sets, status
from lora_tui.adapters.serving.promote import promote
from lora_tui.cli.main import run
from lora_tui.workspace.layout import Workspace
from serving_sets import chat, register, said, serving, until
from tiny_models import SAYS, TinyModels

pytestmark = pytest.mark.engine


def command(workspace: Workspace, capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    """What a command that must succeed prints as JSON."""
    capsys.readouterr()
    code = run(["--workspace", str(workspace.root), *words, "--json"])
    out, err = capsys.readouterr()
    assert code == 0, err
    return json.loads(out)


def refused(workspace: Workspace, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What a command that must fail says."""
    capsys.readouterr()
    assert run(["--workspace", str(workspace.root), *words]) == 2
    return capsys.readouterr().err


def test_a_set_is_served_found_promoted_rolled_back_and_stopped(
    workspace: Workspace, tiny_models: TinyModels, capsys: pytest.CaptureFixture[str]
) -> None:
    for version, which in (("1.0.0", "a"), ("1.1.0", "b")):
        register(workspace, tiny_models, which, version=version)
    base = str(tiny_models.base)
    serve = ("serve", base, "--adapter", "coder@1.0.0", "--engine", "llama-cpp", "--route", "--port", "0", "--detach")
    try:
        begun = command(workspace, capsys, *serve, "--name", "mine", "--base-name", "tiny")
        assert (begun["name"], begun["state"]) == ("mine", "ready")
        one = sets.find(workspace)
        assert said(chat(one, "coder")) == SAYS["a"]
        assert "is served already" in refused(workspace, capsys, *serve, "--name", "mine")

        done = command(workspace, capsys, "promote", "coder@1.1.0", "--why", "it is better")
        assert (done["version"], done["sets"], done["drained"]) == ("coder@1.1.0", ["mine"], True)
        assert said(chat(one, "coder")) == SAYS["b"]
        back = command(workspace, capsys, "rollback", "coder")
        assert (back["version"], back["before"]) == ("coder@1.0.0", "coder@1.1.0")
        assert said(chat(one, "coder")) == SAYS["a"]

        [row] = command(workspace, capsys, "serve", "list")
        assert (row["name"], row["engine"], row["requests"]) == ("mine", "llama-cpp", 3)
        assert row["rss"] > 1 << 20
        shown = command(workspace, capsys, "serve", "status", "mine")
        figures = {one["version"]: one for one in shown["versions"]}
        assert figures["coder@1.0.0"]["names"] == ["coder"]
        assert figures["coder@1.0.0"]["requests"] == 2
        assert figures["coder@1.1.0"]["loaded"]  # it stands by
        assert run(["--workspace", str(workspace.root), "serve", "status"]) == 0
        assert "coder@1.1.0" in capsys.readouterr().out
    finally:
        stopped = command(workspace, capsys, "serve", "stop", "mine")
    assert stopped["stopped"]
    assert command(workspace, capsys, "serve", "list")[0]["state"] == "stopped"


def test_what_cannot_be_served_is_said_before_anything_starts(
    workspace: Workspace, tiny_models: TinyModels, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    register(workspace, tiny_models, "a", version="1.0.0")
    base = str(tiny_models.base)
    assert "there is no adapter 'nobody'" in refused(workspace, capsys, "serve", base, "--adapter", "nobody")
    other = tmp_path / "other-model"
    other.mkdir()
    assert "was trained on" in refused(workspace, capsys, "serve", str(other), "--adapter", "coder")
    same = refused(workspace, capsys, "serve", base, "--adapter", "coder", "--base-name", "coder")
    assert "coder cannot be served under its name: the base is called so" in same
    twice = refused(workspace, capsys, "serve", base, "--adapter", "coder", "--adapter", "coder@1.0.0")
    assert "it is named twice" in twice
    register(workspace, tiny_models, "a", name="auto", version="1.0.0")
    assert "auto cannot be served" in refused(workspace, capsys, "serve", base, "--adapter", "auto")
    vllm = ("--engine", "vllm", "--program", "no-vllm", "--port", "0")
    missing = refused(workspace, capsys, "serve", base, "--adapter", "coder", *vllm)
    assert "vLLM is not here: no-vllm" in missing
    assert "never promoted" in refused(workspace, capsys, "rollback", "coder")
    assert sets.alive(workspace) == []


def test_in_a_terminal_it_serves_until_it_is_told_to_stop(workspace: Workspace, tiny_models: TinyModels) -> None:
    register(workspace, tiny_models, "a", version="1.0.0")
    words = [sys.executable, "-m", "lora_tui", "--workspace", str(workspace.root), "serve", str(tiny_models.base)]
    words += ["--adapter", "coder", "--engine", "llama-cpp", "--port", "0"]  # without a router: llama.cpp itself
    child = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    try:
        until(lambda: any((state := one.state) and state.state == "ready" for one in sets.alive(workspace)))
        one = sets.find(workspace)
        assert said(chat(one, "anything")) == tiny_models.golden["base"]["Hello"]
        pids = [part.pid for part in status.of(one).parts if part.pid]
    finally:
        child.send_signal(signal.SIGINT)
        _, words_said = child.communicate(timeout=30)
    assert child.returncode == 0, words_said
    assert "is served at http://127.0.0.1:" in words_said
    assert not [pid for pid in pids if _lives(pid)]


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.timeout(900)  # it starts twice, which a busy machine takes minutes for
def test_transformers_answers_several_adapters_at_once_and_takes_new_ones(
    workspace: Workspace, tiny_models: TinyModels
) -> None:
    """Its adapters are switched token by token, and no answer is of two."""
    register(workspace, tiny_models, "a", version="1.0.0")
    register(workspace, tiny_models, "b", name="other", version="1.0.0")
    register(workspace, tiny_models, "b", version="1.1.0")
    with serving(workspace, tiny_models.base, ["coder@1.0.0", "other"], "transformers") as one:
        wrong = []

        def ask(model: str, right: str) -> None:
            for stream in (False, True):
                response = chat(one, model, stream=stream)
                text = _streamed(response.text) if stream else said(response)
                if text != right:
                    wrong.append((model, text))

        right = {"coder": SAYS["a"], "other": SAYS["b"], "tiny": tiny_models.golden["base"]["Hello"]}
        threads = [threading.Thread(target=ask, args=pair) for pair in [*right.items()] * 2]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []

        promote(workspace, "coder@1.1.0")
        assert said(chat(one, "coder")) == SAYS["b"]
        refusal = chat(one, "coder", messages=[])
        assert refusal.status_code == 400
        assert "messages" in refusal.json()["error"]["message"]

        before = status.of(one).parts[0]
        assert before.pid is not None
        os.kill(before.pid, signal.SIGKILL)
        until(lambda: status.of(one).parts[0].restarts == 1)
        assert chat(one, "coder").status_code == 503
        until(lambda: status.of(one).parts[0].state == "ready", 400)
        assert said(chat(one, "coder")) == SAYS["b"]  # what was brought in later is there too
        assert said(chat(one, "other")) == SAYS["b"]


def test_ollama_gets_a_model_for_each_version_and_its_alias_moves(
    workspace: Workspace, tiny_models: TinyModels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for version, which in (("1.0.0", "a"), ("1.1.0", "b")):
        register(workspace, tiny_models, which, version=version)
    with FakeOllama(tmp_path) as fake:
        monkeypatch.setenv("OLLAMA_HOST", fake.url)
        with serving(workspace, tiny_models.base, ["coder@1.0.0"], "ollama") as one:
            assert said(chat(one, "tiny")) == tiny_models.golden["base"]["Hello"]
            assert said(chat(one, "coder")) == SAYS["a"]
            promote(workspace, "coder@1.1.0")
            assert said(chat(one, "coder")) == SAYS["b"]
            asked = {"model": "coder", "messages": [{"role": "user", "content": "Hello"}], "stream": False}
            answer = httpx.post(f"{fake.url}/api/chat", json={**asked, "options": {"temperature": 0}}, timeout=60)
            assert answer.json()["message"]["content"].strip() == SAYS["b"]  # who asks Ollama itself
            ours = {"lora-tui/coder:1.0.0", "lora-tui/coder:1.1.0", "lora-tui/tiny:latest"}
            assert set(fake.models) == {*ours, "coder:latest"}


def test_a_model_that_a_person_has_at_ollama_is_not_taken_for_one_of_ours(
    workspace: Workspace, tiny_models: TinyModels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(workspace, tiny_models, "a", version="1.0.0")
    with FakeOllama(tmp_path) as fake:
        theirs = tmp_path / "theirs.gguf"
        theirs.write_bytes(b"GGUF")
        for name in ("coder:latest", "coder:1.0.0", "tiny:latest"):
            fake.models[name] = {"model": theirs}
        monkeypatch.setenv("OLLAMA_HOST", fake.url)
        with serving(workspace, tiny_models.base, ["coder@1.0.0"], "ollama") as one:
            for name in ("coder:latest", "coder:1.0.0", "tiny:latest"):
                assert fake.models[name] == {"model": theirs}
            log = (one.folder / sets.LOG).read_text()
            assert "Ollama has a model coder that was not made here" in log
            assert "ollama rm coder" in log
            assert said(chat(one, "coder")) == SAYS["a"]  # the router knows which one it means


def _streamed(text: str) -> str:
    events = [json.loads(line[5:]) for line in text.splitlines() if line.startswith("data: {")]
    return "".join(choice["delta"].get("content") or "" for event in events for choice in event["choices"]).strip()


def test_nothing_is_left_when_the_server_is_stopped_while_it_starts(
    workspace: Workspace, tiny_models: TinyModels
) -> None:
    register(workspace, tiny_models, "a", version="1.0.0")
    wanted = sets.Set(
        name="set",
        workspace=str(workspace.root),
        base=str(tiny_models.base),
        base_name="tiny",
        engine="transformers",
        adapters=("coder",),
        route=True,
    )
    one = sets.create(workspace, wanted)
    child = subprocess.Popen([sys.executable, "-m", "lora_tui.adapters.serving", str(one.folder)])
    until(lambda: (state := one.state) is not None and state.state == "starting" and bool(state.url))
    time.sleep(0.3)
    assert sets.stop(one)
    assert child.wait(20) == 0
    assert status.of(one).state == "stopped"
