"""The answering server as whoever compares two models uses it: lines in, lines out."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from lora_tui.jobs import answering
from lora_tui.jobs.answering import Delta, Done, Ready, Reply, Request, Trouble
from lora_tui.jobs.supervisor import Run
from lora_tui.worker.__main__ import main
from lora_tui.workspace.profiles import Profile

pytestmark = pytest.mark.engine

Server = subprocess.Popen[bytes]
QUESTION = [{"role": "user", "content": "What is snow?"}]


def start(*arguments: str) -> Server:
    """An answering server."""
    return subprocess.Popen(
        [sys.executable, "-m", "lora_tui.worker", "answer", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def next_reply(server: Server) -> Reply:
    """The server's next line."""
    assert server.stdout is not None
    return answering.reply(server.stdout.readline())


def ask(server: Server, data: bytes) -> tuple[list[str], Reply]:
    """Send a line; the pieces of the answer and the reply that ends it."""
    assert server.stdin is not None
    server.stdin.write(data)
    server.stdin.flush()
    pieces: list[str] = []
    while isinstance(reply := next_reply(server), Delta):
        pieces.append(reply.text)
    return pieces, reply


def hang_up(server: Server) -> int:
    """Close its input; its exit code."""
    assert server.stdin is not None
    server.stdin.close()
    return server.wait(30)


@pytest.fixture
def tuned(new_run: Callable[..., Run], small_profile: Profile) -> Path:
    """An adapter after a few strong steps."""
    training = msgspec.structs.replace(small_profile.training, max_steps=6, learning_rate=2e-2)
    run = new_run(profile=msgspec.structs.replace(small_profile, training=training))
    assert main([str(run.folder / "job.toml")]) == 0
    return run.folder / "adapter"


@pytest.fixture
def server(tiny_base: Path, tuned: Path) -> Iterator[Server]:
    """A server with that adapter, ready."""
    started = start(str(tiny_base), "--adapter", str(tuned))
    ready = next_reply(started)
    assert isinstance(ready, Ready)
    assert ready.model == str(tuned)
    yield started
    started.kill()
    started.wait()


def test_answers_stream_are_repeatable_and_differ_from_the_bases(server: Server) -> None:
    pieces, done = ask(server, answering.line(Request(id=1, messages=QUESTION, max_tokens=12)))
    assert isinstance(done, Done)
    assert done.id == 1
    assert len(pieces) > 1
    assert 0 < done.tokens <= 12
    assert done.prompt_tokens > 5
    again, _ = ask(server, answering.line(Request(id=2, messages=QUESTION, max_tokens=12)))
    assert again == pieces
    base, _ = ask(server, answering.line(Request(id=3, messages=QUESTION, max_tokens=12, base_only=True)))
    assert "".join(base) != "".join(pieces)

    _, cut = ask(server, answering.line(Request(id=4, messages=QUESTION, max_tokens=1)))
    assert isinstance(cut, Done)
    assert not cut.stopped

    warm = Request(id=5, messages=QUESTION, max_tokens=12, temperature=1.5, seed=7)
    assert ask(server, answering.line(warm))[0] == ask(server, answering.line(warm))[0]

    _, wrong = ask(server, b"no json\n")
    assert isinstance(wrong, Trouble)
    picture = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]
    _, refused = ask(server, answering.line(Request(id=6, messages=picture)))
    assert isinstance(refused, Trouble)
    assert refused.id == 6
    _, alive = ask(server, answering.line(Request(id=7, messages=QUESTION, max_tokens=2)))
    assert isinstance(alive, Done)
    assert hang_up(server) == 0


def test_a_base_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    server = start(str(tmp_path / "nowhere"))
    trouble = next_reply(server)
    assert isinstance(trouble, Trouble)
    assert "there is no base model here" in trouble.error
    assert trouble.fix
    assert hang_up(server) == 2
