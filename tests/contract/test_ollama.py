"""What Ollama does that an export relies on: of the fake, and of a true one where $OLLAMA_HOST names it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import exports_here
import tiny_models as tiny
from fakes.ollama import FakeOllama
from lora_tui.adapters.exporting.base import Base
from lora_tui.adapters.exporting.gguf_files import write_adapter, write_model
from lora_tui.adapters.exporting.ollama_api import Ollama, Status
from lora_tui.adapters.peft_folder import PeftFolder
from lora_tui.jobs.job import Export
from lora_tui.workspace.errors import LoraTuiError
from tiny_models import TinyModels

pytestmark = pytest.mark.engine
TRUE = os.environ.get("OLLAMA_HOST", "")
NAME = "lora-tui-contract"


@pytest.fixture(scope="module", params=["fake", "true"] if TRUE else ["fake"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if request.param == "true":
        with Ollama(TRUE) as true:
            yield true.url
            for name in true.models():
                if name.startswith(NAME):
                    true.delete(name)
        return
    with FakeOllama(tmp_path_factory.mktemp("ollama")) as fake:
        yield fake.url


@pytest.fixture(scope="module")
def files(tiny_models: TinyModels, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """GGUFs: the base, A merged into it, A alone."""
    folder = tmp_path_factory.mktemp("gguf")
    made = {name: folder / f"{name}.gguf" for name in ("base", "merged", "lora")}
    with Base(tiny_models.base) as base, PeftFolder(tiny_models.lora_a) as a:
        write_model(made["base"], base, None, "f16")
        write_model(made["merged"], base, a, "f16")
        write_adapter(made["lora"], base, a)
    return made


def _digest(path: Path) -> str:
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def _bring(url: str, path: Path) -> str:
    digest = _digest(path)
    assert httpx.post(f"{url}/api/blobs/{digest}", content=path.read_bytes(), timeout=60).status_code in (200, 201)
    return digest


def _create(url: str, **fields: Any) -> tuple[int, list[dict[str, Any]]]:
    reply = httpx.post(f"{url}/api/create", json=fields, timeout=300)
    return reply.status_code, [json.loads(line) for line in reply.text.splitlines() if line.strip()]


def _chat(url: str, model: str, prompt: str) -> dict[str, Any]:
    asked = {
        "model": model,
        "messages": [{"role": "user", "content": prompt}],
        "options": {"temperature": 0, "num_predict": tiny.LONGEST},
        "stream": False,
    }
    reply = httpx.post(f"{url}/api/chat", json=asked, timeout=300)
    assert reply.status_code == 200, reply.text
    return dict(reply.json())


def test_it_says_its_version(url: str) -> None:
    assert httpx.get(f"{url}/").text == "Ollama is running"
    with Ollama(url) as ollama:
        assert ollama.version()


def test_a_blob_is_kept_by_its_digest_and_a_wrong_one_is_refused(url: str, tmp_path: Path) -> None:
    data = os.urandom(3000)
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    place = f"{url}/api/blobs/{digest}"
    assert httpx.head(place).status_code == 404
    assert httpx.post(f"{url}/api/blobs/sha256:{'0' * 64}", content=data).status_code == 400
    assert httpx.post(place, content=data).status_code == 201
    assert httpx.head(place).status_code == 200
    assert httpx.post(place, content=data).status_code == 200
    assert httpx.head(f"{url}/api/blobs/nonsense").status_code == 400


def test_a_model_of_a_gguf_answers_as_its_source_and_ends_with_success(
    url: str, files: dict[str, Path], tiny_models: TinyModels
) -> None:
    model = f"{NAME}-merged"
    status, lines = _create(url, model=model, files={"model.gguf": _bring(url, files["merged"])})
    assert status == 200
    assert lines[-1] == {"status": "success"}
    assert {prompt: _chat(url, model, prompt)["message"]["content"].strip() for prompt in tiny.PROMPTS} == (
        tiny_models.golden["a"]
    )
    last = _chat(url, model, "Hello")
    assert last["done"]
    assert last["done_reason"] == "stop"
    assert last["eval_count"] > 0
    assert any(one["name"] == f"{model}:latest" for one in httpx.get(f"{url}/api/tags").json()["models"])


def test_a_base_and_an_adapter_are_two_layers_of_a_model(
    url: str, files: dict[str, Path], tiny_models: TinyModels
) -> None:
    model = f"{NAME}-layers"
    base, lora = _bring(url, files["base"]), _bring(url, files["lora"])
    status, lines = _create(url, model=model, files={"model.gguf": base}, adapters={"adapter.gguf": lora})
    assert (status, lines[-1]) == (200, {"status": "success"})
    assert _chat(url, model, "Hello")["message"]["content"].strip() == tiny_models.golden["a"]["Hello"]
    shown = httpx.post(f"{url}/api/show", json={"model": model}).json()
    assert "ADAPTER" in shown["modelfile"]


def test_what_it_cannot_make_is_told_with_a_status(url: str, files: dict[str, Path], tmp_path: Path) -> None:
    junk = tmp_path / "junk.gguf"
    junk.write_bytes(b"nothing of the kind" * 50)
    good = _bring(url, files["base"])
    for fields in (
        {},
        {"files": {}},
        {"files": {"model.gguf": _bring(url, junk)}},
        {"files": {"/etc/model.gguf": good}},
        {"files": {"model.gguf": good}, "quantize": "Q9_X"},
    ):
        status, lines = _create(url, model=f"{NAME}-bad", **fields)
        assert status >= 400 or "error" in lines[-1], fields
        assert lines[-1].get("error"), fields


def test_an_unknown_model_answers_404(url: str) -> None:
    for path, method in (("chat", "POST"), ("show", "POST"), ("delete", "DELETE")):
        reply = httpx.request(method, f"{url}/api/{path}", json={"model": f"{NAME}-nowhere", "messages": []})
        assert reply.status_code == 404
        assert reply.json()["error"]


def test_our_client_sends_what_is_not_there_and_nothing_twice(url: str, files: dict[str, Path]) -> None:
    said: list[Status] = []
    told: list[tuple[int, int]] = []
    with Ollama(url) as ollama:
        digest = ollama.upload(files["base"], lambda done, total: told.append((done, total)))
        assert told[-1][0] == told[-1][1]
        assert ollama.upload(files["base"], lambda *_: None) == digest
        ollama.create(f"{NAME}-own", {"files": {"model.gguf": digest}}, said.append)
        assert said[-1].status == "success"
        ollama.copy(f"{NAME}-own", f"{NAME}-other")
        ollama.delete(f"{NAME}-own")
        names = ollama.models()
        assert f"{NAME}-other:latest" in names
        assert f"{NAME}-own:latest" not in names
        with pytest.raises(LoraTuiError, match="not found"):
            ollama.delete(f"{NAME}-own")


@pytest.mark.parametrize("separate", [False, True])
def test_an_adapter_becomes_a_model_that_answers_as_it_was_trained(
    url: str, tiny_models: TinyModels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, separate: bool
) -> None:
    name = f"{NAME}-coder:{'two' if separate else 'one'}"
    job = Export(
        what="ollama",
        base=str(tiny_models.base),
        base_name="tiny",
        adapter=str(tiny_models.lora_a),
        adapter_name="coder@1.0.0",
        type="f16",
        model=name,
        host=url,
        adapter_only=separate,
        system="Be brief." if separate else "",
        parameters=(("num_ctx", "512"), ("stop", "###")) if separate else (),
    )
    made = exports_here.exporter(tmp_path, monkeypatch)(job)
    assert made.output == name
    assert made.checked
    assert "loaded in Ollama; equal: greedy text of 4 of 4 prompts" in made.verdict
    with Ollama(url) as ollama:
        assert name in ollama.models()
        assert not [one for one in ollama.models() if "-half-" in one]
    shown = httpx.post(f"{url}/api/show", json={"model": name}).json()
    assert ("num_ctx" in shown.get("parameters", "")) is separate
    assert ("ADAPTER" in shown["modelfile"]) is separate
    assert _chat(url, name, "Who are you?")["message"]["content"].strip() == "AAA alpha answer."
    assert not list((tmp_path / "runs").rglob("*.gguf"))
