"""Names, parameters, Modelfiles and addresses of Ollama."""

from __future__ import annotations

import pytest

from lora_tui.adapters.exporting.modelfile import check_name, modelfile, settings
from lora_tui.adapters.exporting.ollama_api import address
from lora_tui.workspace.errors import BadInput


@pytest.mark.parametrize("name", ["coder", "coder:1.4.0", "me/coder:latest", "host.example/me/coder", "_x"])
def test_names_that_ollama_takes(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "coder@1.0.0", "-x", "a b", "a:", "a/b/c/d", "x" * 81, "me.you/coder"])
def test_names_that_ollama_refuses(name: str) -> None:
    with pytest.raises(BadInput, match="no name of an Ollama model"):
        check_name(name)


def test_parameters_go_to_the_api_as_what_they_are() -> None:
    pairs = (("num_ctx", "8192"), ("temperature", "0.2"), ("stop", "a b"), ("stop", "</s>"), ("use_mmap", "true"))
    assert settings(pairs) == {"num_ctx": 8192, "temperature": 0.2, "use_mmap": True, "stop": ["a b", "</s>"]}
    with pytest.raises(BadInput, match="no parameter"):
        settings((("num ctx", "1"),))


def test_a_modelfile_quotes_what_would_be_read_otherwise() -> None:
    text = modelfile("m.gguf", "", "Two\nlines", (("stop", "a b"), ("num_ctx", "4096")))
    assert text == 'FROM ./m.gguf\nPARAMETER stop "a b"\nPARAMETER num_ctx 4096\nSYSTEM """Two\nlines"""\n'
    with pytest.raises(BadInput, match='"""'):
        modelfile("m.gguf", "", 'a """ b', ())


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("", "http://127.0.0.1:11434"),
        (":11500", "http://127.0.0.1:11500"),
        ("box", "http://box:11434"),
        ("0.0.0.0:11500", "http://127.0.0.1:11500"),
        ("http://box", "http://box:80"),
        ("https://box:444/", "https://box:444"),
        ("[::1]:5", "http://[::1]:5"),
    ],
)
def test_an_address_is_read_as_ollama_reads_it(monkeypatch: pytest.MonkeyPatch, given: str, found: str) -> None:
    monkeypatch.delenv("OLLAMA_HOST", raising=False)
    assert address(given) == found
    monkeypatch.setenv("OLLAMA_HOST", given)
    assert address() == found


def test_an_address_with_a_password_is_refused_without_repeating_it() -> None:
    with pytest.raises(BadInput) as caught:
        address("http://me:hunter2@box")
    assert "hunter2" not in str(caught.value)
