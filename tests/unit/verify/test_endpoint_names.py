"""How endpoints are named, and what is refused before anything is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from lora_tui.verify.endpoints import check_name, opened
from lora_tui.verify.endpoints.naming import FORMS, parsed
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace


@pytest.mark.parametrize(
    ("name", "url", "model"),
    [
        ("ollama:library/qwen:7b", "", "library/qwen:7b"),
        ("vllm:http://box:8000/v1#coder@1.0.0", "http://box:8000/v1", "coder@1.0.0"),
        ("llama-cpp:http://127.0.0.1:8080/", "http://127.0.0.1:8080", ""),
        ("llama-cpp:http://127.0.0.1:8080#lora-a", "http://127.0.0.1:8080", "lora-a"),
        ("together:me/model", "", "me/model"),
        ("openai:https://host/v1#a#b", "https://host/v1", "a#b"),
        ("base:./here", "", "./here"),
    ],
)
def test_a_name_is_taken_apart(name: str, url: str, model: str) -> None:
    found = parsed(name)
    assert (found.name, found.url, found.model) == (name, url, model)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gpt-4", "this is no endpoint"),
        ("ask:x", "'ask' is no kind of endpoint"),
        ("ollama:", "names nothing"),
        ("vllm:http://box:8000", "no usable URL and model"),
        ("openai:box:8000/v1#m", "no usable URL and model"),
        ("openai:http://[::1#m", "no usable URL and model"),
        ("openai:http://box:99999/v1#m", "no usable URL and model"),
        ("adapter:nobody", "there is no adapter 'nobody'"),
        ("base:/nowhere/at/all", "there is no base model here"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_way_to_write_it(workspace: Workspace, name: str, said: str) -> None:
    with pytest.raises(BadInput, match=said) as caught:
        check_name(workspace, name)
    assert caught.value.fix


@pytest.mark.parametrize("kind", ["openai", "vllm", "llama-cpp"])
@pytest.mark.parametrize("url", ["http://user:hunter2@localhost/v1", "http://localhost/v1?api_key=hunter2"])
def test_a_secret_in_a_url_is_refused_and_not_repeated(workspace: Workspace, kind: str, url: str) -> None:
    with pytest.raises(BadInput, match="must hold no user, password or query") as caught:
        check_name(workspace, f"{kind}:{url}#m")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("name", ["sk-proj-hunter2", "sk-hunter2:x y", "openai:https//hunter2"])
def test_what_may_be_a_key_is_not_repeated(workspace: Workspace, name: str) -> None:
    with pytest.raises(BadInput) as caught:
        check_name(workspace, name)
    assert "hunter2" not in str(caught.value)


def test_every_form_that_is_shown_can_be_written() -> None:
    for kind, form in FORMS.items():
        written = form.partition(" or ")[0].replace("HOST:PORT", "host:1")
        assert parsed(written).kind == kind


async def test_together_without_a_key_is_told_before_anything_runs(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TOGETHER_API_KEY", raising=False)
    with pytest.raises(BadInput, match=r"\$TOGETHER_API_KEY is not set"):
        async with opened(workspace, ["together:m"], tmp_path):
            pass
