"""The router in front of an engine that has faults: answers pass through, errors are clear, figures are whole."""

from __future__ import annotations

import asyncio
import errno
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from fakes.engine_server import BREAK, NEVER, REFUSE, EngineServer
from lora_tui.adapters.serving.accounts import Accounts, Ended
from lora_tui.adapters.serving.engine import BASE, Target
from lora_tui.adapters.serving.names import Names
from lora_tui.adapters.serving.process import State
from lora_tui.adapters.serving.router import Router
from lora_tui.adapters.serving.upstream import Pool

HOST = "127.0.0.1"


class Engine:
    """One fake server behind every version."""

    def __init__(self, port: int) -> None:
        self.pool = Pool(HOST, port)
        self.state: State = "ready"

    def target(self, label: str) -> Target | None:
        return Target(self.pool, label or "base-model", self.state) if label in (BASE, "coder@1.0.0") else None


class Here:
    """A fake engine, a router before it and a client of that."""

    def __init__(self, engine: EngineServer, behind: Engine, router: Router, client: httpx.AsyncClient) -> None:
        self.engine, self.behind, self.router, self.client = engine, behind, router, client

    def body(self, prompt: str = "Hello", **more: Any) -> dict[str, Any]:
        return {"model": "coder", "messages": [{"role": "user", "content": prompt}], **more}

    async def ask(self, prompt: str = "Hello", **more: Any) -> httpx.Response:
        return await self.client.post("/v1/chat/completions", json=self.body(prompt, **more))


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Here]:
    engine = EngineServer()
    behind = Engine(await engine.start())
    accounts = Accounts(tmp_path)
    router = Router(behind, Names("base", {"coder": "coder@1.0.0"}), accounts, lambda: ["coder@1.0.0"])
    port = await router.listen(HOST, 0)
    async with httpx.AsyncClient(base_url=f"http://{HOST}:{port}", timeout=20, verify=False) as client:
        yield Here(engine, behind, router, client)
    await router.close(0.1)
    await engine.stop()
    accounts.close()


async def test_an_answer_comes_through_with_the_version_that_gave_it(here: Here) -> None:
    found = await here.ask(stream=True, temperature=0.5)
    assert found.text.count("data:") == 4
    assert found.text.endswith("data: [DONE]\n\n")
    assert found.headers["x-lora-tui-version"] == "coder@1.0.0"
    assert here.engine.seen[0] == {**here.body(), "stream": True, "temperature": 0.5, "model": "coder@1.0.0"}

    found = await here.ask()
    assert found.json()["choices"][0]["message"]["content"] == "t t t"
    await here.client.post("/v1/completions", json={"model": "base", "prompt": "Hello"})
    assert here.engine.seen[-1] == {"model": "base-model", "prompt": "Hello"}

    counts = here.router.accounts.counts
    assert (counts["coder@1.0.0"].answered, counts["coder@1.0.0"].tokens, counts["coder@1.0.0"].prompt_tokens) == (
        2,
        6,
        7,
    )
    assert counts["coder@1.0.0"].first.count == 1
    assert counts[""].answered == 1
    assert here.engine.connections == 1  # kept open


async def test_tokens_are_passed_on_as_they_come(here: Here) -> None:
    here.engine.gap, here.engine.tokens = 0.2, 3
    async with here.client.stream("POST", "/v1/chat/completions", json=here.body(stream=True)) as response:
        times = [asyncio.get_running_loop().time() async for line in response.aiter_lines() if line]
    assert times[1] - times[0] > 0.15
    assert times[2] - times[1] > 0.15


@pytest.mark.parametrize("prompt", [NEVER, "long"])
async def test_an_engine_stops_when_the_client_leaves(here: Here, prompt: str) -> None:
    here.engine.gap, here.engine.tokens = 0.05, 400
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await here.ask(prompt, stream=True)
    async with asyncio.timeout(5):
        while not here.engine.left:
            await asyncio.sleep(0.01)
    counts = here.router.accounts.counts["coder@1.0.0"]
    assert (counts.requests, counts.left, counts.errors) == (1, 1, 0)
    assert here.router.flying("coder@1.0.0") == 0


async def test_a_dead_engine_is_a_clear_error_and_the_next_request_tries_again(here: Here) -> None:
    assert (await here.ask()).status_code == 200
    await here.engine.stop()
    found = await here.ask()
    assert found.status_code == 502
    assert found.json()["error"]["type"] == "engine_error"
    assert "coder@1.0.0 did not answer" in found.json()["error"]["message"]
    assert found.headers["retry-after"]

    here.behind.state = "restarting"
    found = await here.ask()
    assert found.status_code == 503
    assert "its engine is restarting" in found.json()["error"]["message"]
    assert (await here.client.get("/health")).status_code == 503

    here.behind.state = "ready"
    await here.engine.start(here.behind.pool.port)
    assert (await here.ask()).status_code == 200
    counts = here.router.accounts.counts["coder@1.0.0"]
    assert (counts.requests, counts.answered, counts.errors) == (4, 2, 2)


async def test_a_connection_that_the_engine_closed_meanwhile_is_no_error(here: Here) -> None:
    assert (await here.ask()).status_code == 200
    here.engine.close_idle()
    assert (await here.ask()).status_code == 200


async def test_an_answer_that_breaks_off_says_so_in_the_stream(here: Here) -> None:
    here.engine.tokens = 9
    found = await here.ask(BREAK, stream=True)
    events = [json.loads(line[5:]) for line in found.text.splitlines() if line.startswith("data:")]
    assert len(events) == 3
    assert "broke off within its answer" in events[-1]["error"]["message"]
    assert "[DONE]" not in found.text
    counts = here.router.accounts.counts["coder@1.0.0"]
    assert (counts.errors, counts.tokens) == (1, 2)


async def test_what_the_engine_refuses_is_the_client_s_to_read(here: Here) -> None:
    found = await here.ask(REFUSE)
    assert (found.status_code, found.json()["error"]["message"]) == (400, "too long")
    assert here.router.accounts.counts["coder@1.0.0"].errors == 1


async def test_requests_that_are_none_are_answered_and_reach_no_engine(here: Here) -> None:
    found = await here.ask(model="nobody")
    assert found.status_code == 404
    assert found.json()["error"]["code"] == "model_not_found"
    assert "auto, base, coder" in found.json()["error"]["message"]
    post = here.client.post
    assert (await post("/v1/chat/completions", content=b"{")).status_code == 400
    assert (await post("/v1/chat/completions", content=b"[]")).status_code == 400
    assert (await here.client.get("/v1/chat/completions")).status_code == 405
    assert (await here.client.get("/v1/nothing")).status_code == 404
    assert (await post("/v1/embeddings", json={})).status_code == 404
    assert here.engine.seen == []

    reader, writer = await asyncio.open_connection(HOST, here.client.base_url.port)
    writer.write(b"hello there\r\n\r\n")
    assert b"400 Bad Request" in await reader.read()
    writer.close()


async def test_a_request_in_chunks_is_read(here: Here) -> None:
    async def parts() -> AsyncIterator[bytes]:
        data = json.dumps(here.body()).encode()
        yield data[:10]
        yield data[10:]

    assert (await here.client.post("/v1/chat/completions", content=parts())).status_code == 200


async def test_models_figures_and_metrics_can_be_asked_for(here: Here) -> None:
    await here.ask(stream=True)
    models = (await here.client.get("/v1/models")).json()["data"]
    assert [one["id"] for one in models] == ["auto", "base", "coder", "coder@1.0.0"]
    stats = (await here.client.get("/stats")).json()
    assert stats["versions"]["coder@1.0.0"]["answered"] == 1
    metrics = (await here.client.get("/metrics")).text
    assert 'lora_tui_requests_total{version="coder@1.0.0",outcome="answered"} 1' in metrics
    assert 'lora_tui_generation_tokens_total{version="coder@1.0.0"} 3' in metrics
    assert (await here.client.get("/health")).json() == {"status": "ready"}


def ended(identity: str, version: str, **more: Any) -> Ended:
    return Ended(
        **{"id": identity, "version": version, "status": 200, "first": 0.1, "seconds": 1.0, "tokens": 5} | more
    )


def test_figures_are_whole_after_a_kill_with_and_without_saved_sums(tmp_path: Path) -> None:
    for saves in (False, True):
        folder = tmp_path / str(saves)
        folder.mkdir()
        killed = Accounts(folder)
        killed.end(ended(killed.begin("coder", "coder@1.0.0", "name"), "coder@1.0.0"))
        if saves:
            killed.save()
        killed.end(ended(killed.begin("coder", "coder@1.0.0", "name"), "coder@1.0.0", status=502, error="gone"))
        killed.begin("base", "", "name")  # never ended: no close, no save

        found = Accounts(folder)
        assert (found.counts["coder@1.0.0"].requests, found.counts["coder@1.0.0"].tokens) == (2, 10)
        assert (found.counts["coder@1.0.0"].answered, found.counts["coder@1.0.0"].errors) == (1, 1)
        assert (found.counts[""].requests, found.counts[""].cut) == (1, 1)
        assert found.running() == 0
        found.close()
        assert Accounts(folder).counts == found.counts


def test_a_line_that_was_cut_short_spoils_none_after_it(tmp_path: Path) -> None:
    first = Accounts(tmp_path)
    first.end(ended(first.begin("coder", "coder@1.0.0", "name"), "coder@1.0.0"))
    with (tmp_path / "requests.jsonl").open("ab") as file:
        file.write(b'{"type":"begun","id":"x')
    second = Accounts(tmp_path)
    second.end(ended(second.begin("coder", "coder@1.0.0", "name"), "coder@1.0.0"))
    assert Accounts(tmp_path).counts["coder@1.0.0"].requests == 2


async def test_no_word_of_a_request_is_written_down(here: Here, tmp_path: Path) -> None:
    here.router.names.specialists = {"rust": "coder"}
    found = await here.ask("Fix src/secret_plan.rs, my dear", model="auto")
    assert found.headers["x-lora-tui-route"] == "auto, files, rust (src/secret_plan.rs)"
    written = (tmp_path / "requests.jsonl").read_text()
    assert '"reason":"auto, files, rust"' in written
    assert not [word for word in ("secret_plan", "dear", "t t t") if word in written]


async def raw(here: Here, data: bytes, answers: int = 1) -> bytes:
    """What comes back on one connection for these bytes, until so many answers began and it is quiet, or it ends."""
    reader, writer = await asyncio.open_connection(HOST, here.client.base_url.port)
    writer.write(data)
    found = b""
    async with asyncio.timeout(10):
        while found.count(b"HTTP/1.1 ") < answers and (more := await reader.read(1 << 16)):
            found += more
    writer.close()
    return found


async def test_head_is_answered_without_a_body_and_the_connection_goes_on(here: Here) -> None:
    assert (await here.client.head("/health")).status_code == 200
    assert (await here.client.head("/v1/chat/completions")).status_code == 404
    assert (await here.client.get("/health")).json() == {"status": "ready"}


@pytest.mark.parametrize("size", [b"-6", b"0x10", b"+5", b"1_0", b""])
async def test_a_chunk_of_no_size_is_refused_and_the_router_lives(here: Here, size: bytes) -> None:
    begin = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    assert b"400 Bad Request" in await raw(here, begin + size + b"\r\nxxxxxxxxxx")
    assert (await here.ask()).status_code == 200


async def test_what_follows_a_request_in_chunks_on_its_connection_is_answered_too(here: Here) -> None:
    body = json.dumps(here.body()).encode()
    begin = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    data = begin + b"%x;ext=1\r\n%b\r\n0\r\ntrailer: 1\r\n\r\n" % (len(body), body)
    found = await raw(here, data + b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n", 2)
    assert found.count(b"200 OK") == 2
    assert b'"status":"ready"' in found


async def test_a_body_that_is_too_long_is_refused_before_it_is_read(here: Here) -> None:
    begin = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %b\r\n\r\n"
    assert b"413 Content Too Large" in await raw(here, begin % b"80000000")
    assert b"400 Bad Request" in await raw(here, begin % (b"9" * 5000))
    pieces = b"transfer-encoding: chunked\r\n\r\nfffffff\r\n"
    assert b"413" in await raw(here, b"POST /v1/completions HTTP/1.1\r\n" + pieces)
    large = await here.client.post("/v1/chat/completions", content=b"x" * (70 << 20))
    assert large.status_code == 413  # and not a connection that was reset while it sent
    assert here.engine.seen == []


async def test_a_server_that_stops_lets_answers_end_and_takes_no_more(here: Here) -> None:
    here.engine.gap, here.engine.tokens = 0.05, 10
    answers = [asyncio.create_task(here.ask(stream=True)) for _ in range(2)]
    async with asyncio.timeout(5):
        while here.router.flying("coder@1.0.0") < 2:
            await asyncio.sleep(0.01)
    kept = httpx.AsyncClient(base_url=here.client.base_url, verify=False)
    await kept.get("/health")
    closing = asyncio.create_task(here.router.close())
    await asyncio.sleep(0.05)
    late = await kept.post("/v1/chat/completions", json=here.body())
    await closing
    await kept.aclose()
    assert [(await answer).text.count("data:") for answer in answers] == [11, 11]
    assert (late.status_code, late.json()["error"]["message"]) == (503, "this server stops")


async def test_a_full_disk_stops_no_answer_and_loses_no_figure(
    here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, room = os.write, [40]

    def until_full(file: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        count = write(file, bytes(data[: room[0]]))
        room[0] -= count
        return count

    with monkeypatch.context() as full:
        full.setattr(os, "write", until_full)
        assert (await here.ask()).status_code == 200
        assert (await here.ask()).status_code == 200
        here.router.accounts.save()
    assert (await here.ask()).status_code == 200
    assert here.router.accounts.counts["coder@1.0.0"].answered == 3
    found = Accounts(tmp_path)
    assert found.counts == here.router.accounts.counts
    found.close()
