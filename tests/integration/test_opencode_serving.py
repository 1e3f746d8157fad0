"""`opencode apply` beside `serve`: the address and the names that are written are those that answer."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

import serving_sets
from lora_tui.adapters.serving import sets
from lora_tui.cli.main import run
from lora_tui.workspace.layout import Workspace
from opencode_settings import add_specialist
from tiny_models import TinyModels


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", os.defpath)


def settings(workspace: Workspace, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[Any, list[str]]:
    """The provider that would be written, and the notes."""
    capsys.readouterr()
    assert run(["--workspace", str(workspace.root), "opencode", "print", *arguments, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    return json.loads(said["settings"])["provider"]["lora"], said["notes"]


@contextmanager
def served(workspace: Workspace, name: str, port: int, **more: Any) -> Iterator[None]:
    """A set that this process holds as its server would."""
    wanted = {"base": "x", "base_name": "tiny", "engine": "vllm", "route": True, "port": port, **more}
    one = sets.create(workspace, sets.Set(name=name, workspace=str(workspace.root), **wanted))
    names = {adapter: f"{adapter}@1.0.0" for adapter in wanted.get("adapters", ())}
    state = sets.State(pid=os.getpid(), started=1.0, state="ready", url=f"http://127.0.0.1:{port}/v1", names=names)
    (one.folder / sets.STATE).write_bytes(msgspec.json.encode(state))
    lock = sets.hold(one.folder)
    try:
        yield
    finally:
        os.close(lock)


def test_every_model_that_is_written_answers_at_the_address_that_is_written(
    workspace: Workspace, tiny_models: TinyModels, capsys: pytest.CaptureFixture[str]
) -> None:
    serving_sets.register(workspace, tiny_models, "a")
    serving_sets.register(workspace, tiny_models, "b", name="unserved")
    with serving_sets.serving(workspace, tiny_models.base, ["coder"]) as one:
        provider, notes = settings(workspace, capsys)
        assert notes == []
        assert provider["options"]["baseURL"] == serving_sets.url(one)
        assert list(provider["models"]) == ["auto", "tiny", "coder"]
        for name, model in provider["models"].items():
            body = {"model": name, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 4}
            answer = httpx.post(f"{provider['options']['baseURL']}/chat/completions", json=body, timeout=60)
            assert answer.status_code == 200, answer.text
            assert model["limit"]["output"] < model["limit"]["context"] <= 16_384
    _, notes = settings(workspace, capsys, "--adapter", "coder")
    assert "Nothing is served now" in notes[0]


def test_of_several_sets_the_one_with_the_adapters_is_taken(
    workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("build-rust", "build-ts"):
        add_specialist(workspace, name, name, tmp_path / "Base-1B")
    with served(workspace, "one", 9001, adapters=("build-rust",), context=8_000):
        provider, notes = settings(workspace, capsys)
        assert provider["options"]["baseURL"] == "http://127.0.0.1:9001/v1"
        assert list(provider["models"]) == ["auto", "tiny", "build-rust"]
        assert provider["models"]["build-rust"]["limit"] == {"context": 8_000, "output": 2_000}
        assert notes == []
        with served(workspace, "two", 9002, adapters=("build-ts",)):
            provider, _ = settings(workspace, capsys, "--adapter", "build-ts")
            assert provider["options"]["baseURL"] == "http://127.0.0.1:9002/v1"
            assert run(["--workspace", str(workspace.root), "opencode", "diff"]) == 2
            assert "say which with --url" in capsys.readouterr().err
    provider, notes = settings(workspace, capsys, "--url", "http://127.0.0.1:1")
    assert provider["options"]["baseURL"] == "http://127.0.0.1:1/v1"


def test_without_a_router_the_versions_are_written_and_it_is_said(
    workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_specialist(workspace, "build-rust", "build-rust", tmp_path / "Base-1B")
    with served(workspace, "one", 9001, adapters=("build-rust",), route=False):
        provider, notes = settings(workspace, capsys)
    assert list(provider["models"]) == ["tiny", "build-rust"]
    assert provider["models"]["build-rust"]["id"] == "build-rust@1.0.0"
    assert "apply again after a promotion" in notes[0]
