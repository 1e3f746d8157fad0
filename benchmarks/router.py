"""What the router adds to the first token: 40 streaming clients, direct and through it, in turn.

    python benchmarks/router.py [--clients 40] [--rounds 6] [--requests 4]

The engine is a server on loopback that answers at a fixed pace: the first of 20 tokens after 50 ms, one each 10 ms.
A round is --requests answers per client, direct and then through the router (or the other way round, in turn); the
router's addition is the difference of the two medians of a round, and the verdict is on the median of the rounds.
`spread`: the clients begin at random moments of 300 ms; `at once`: all 40 in the same instant, each time. Limit: 5 ms
at the median, spread. Beside it the CPU that a streamed answer costs in our own client and in httpx on h11.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from fakes.engine_server import EngineServer
from lora_tui.adapters.serving import wire
from lora_tui.adapters.serving.accounts import Accounts
from lora_tui.adapters.serving.engine import Target
from lora_tui.adapters.serving.names import Names
from lora_tui.adapters.serving.process import HOST, free_port
from lora_tui.adapters.serving.router import Router
from lora_tui.adapters.serving.upstream import Pool

FIRST, GAP, TOKENS = 0.05, 0.01, 20
SPREAD = 0.3  # seconds
LIMIT = 0.005  # seconds
LANGUAGES = {"rust": "coder"}


async def serve_router(port: int, engine: int) -> None:
    """The router process: what `serve --route` runs, without an engine of its own."""

    class Engine:
        pool = Pool(HOST, engine)

        def target(self, label: str) -> Target:
            return Target(self.pool, label or "base", "ready")

    with tempfile.TemporaryDirectory() as folder:
        names = Names("base", {"coder": "coder@1.0.0"})
        names.specialists = LANGUAGES
        router = Router(Engine(), names, Accounts(Path(folder)), lambda: ["coder@1.0.0"])
        await router.listen(HOST, port)
        await asyncio.Event().wait()


def body(number: int) -> bytes:
    """A request as an agent sends it: 8 KB of conversation."""
    text = f"Fix src/lib.rs, please. This is request {number}. " + "context " * 1000
    messages = [{"role": "system", "content": "You are an agent."}, {"role": "user", "content": text}]
    return json.dumps({"model": "auto", "messages": messages, "stream": True, "temperature": 0}).encode()


async def one(port: int, data: bytes, connection: list[asyncio.StreamReader | asyncio.StreamWriter]) -> float:
    """Seconds to the first token of one answer, which is read to its end."""
    if not connection:
        connection.extend(await asyncio.open_connection(HOST, port))
    reader, writer = connection
    assert isinstance(reader, asyncio.StreamReader)
    assert isinstance(writer, asyncio.StreamWriter)
    begun = time.perf_counter()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(data)}\r\n\r\n"
    writer.write(head.encode() + data)
    found = await wire.read_head(reader)
    assert found is not None
    assert found.status == 200, found
    first = None
    async for _ in wire.chunks(reader, found):
        first = first or time.perf_counter() - begun
    assert first is not None
    return first


async def clients(port: int, count: int, requests: int, at_once: bool) -> list[float]:
    """First-token seconds of all answers of one half of a round."""
    gate = asyncio.Barrier(count)
    draw = random.Random(1)

    async def client(number: int, wait: float) -> list[float]:
        connection: list[asyncio.StreamReader | asyncio.StreamWriter] = []
        data, times = body(number), []
        await one(port, data, connection)  # the connection is opened
        for _ in range(requests):
            await gate.wait()
            if not at_once:
                await asyncio.sleep(wait)
            times.append(await one(port, data, connection))
        connection[1].close()  # type: ignore[union-attr]
        return times

    found = await asyncio.gather(*(client(number, draw.uniform(0, SPREAD)) for number in range(count)))
    return [seconds for times in found for seconds in times]


async def measure(engine: int, router: int, given: argparse.Namespace, at_once: bool) -> list[tuple[float, float]]:
    """Per round what the router adds: at the median, at the 95th percentile."""
    added = []
    for number in range(given.rounds):
        order = [("direct", engine), ("router", router)]
        times = {}
        for name, port in order if number % 2 else order[::-1]:
            times[name] = await clients(port, given.clients, given.requests, at_once)
        middle, late = (
            [statistics.quantiles(times[name], n=100)[at - 1] for name in ("direct", "router")] for at in (50, 95)
        )
        added.append((middle[1] - middle[0], late[1] - late[0]))
    return added


async def cost(ours: bool, requests: int) -> float:
    """CPU seconds of this process for one streamed answer of 20 tokens, engine included: compare, do not read."""
    engine = EngineServer(tokens=TOKENS)
    port = await engine.start()
    data = body(0)
    pool = Pool(HOST, port)
    import httpx

    async with httpx.AsyncClient(base_url=f"http://{HOST}:{port}", verify=False) as client:
        begun = None
        for number in range(requests + 20):
            if number == 20:
                begun = time.process_time()
            if ours:
                response = await pool.request("POST", "/v1/chat/completions", data)
                async for _ in response.chunks():
                    pass
                response.close()
            else:
                async with client.stream("POST", "/v1/chat/completions", content=data) as answer:
                    async for _ in answer.aiter_raw():
                        pass
        assert begun is not None
        used = (time.process_time() - begun) / requests
    pool.close()
    await engine.stop()
    return used


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--requests", type=int, default=4)
    parser.add_argument("--serve", type=int, nargs=2, metavar=("PORT", "ENGINE"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        await serve_router(*given.serve)
    engine, router = free_port(), free_port()
    fake = Path(__file__).resolve().parents[1] / "tests" / "fakes" / "engine_server.py"
    commands = (
        [sys.executable, str(fake), str(engine), str(FIRST), str(GAP), str(TOKENS)],
        [sys.executable, __file__, "--serve", str(router), str(engine)],
    )
    children = [subprocess.Popen(command) for command in commands]
    try:
        await listening(engine, router)
        print(f"{given.clients} clients, {given.rounds} rounds of {given.requests} answers each, direct and routed\n")
        print("| clients begin | added at the median | in the rounds | added at 95 % | limit |")
        print("|---|---:|---:|---:|---|")
        broken = False
        for at_once in (False, True):
            added = await measure(engine, router, given, at_once)
            middle = statistics.median(pair[0] for pair in added)
            late = statistics.median(pair[1] for pair in added)
            spread = f"{min(pair[0] for pair in added) * 1e3:.2f} … {max(pair[0] for pair in added) * 1e3:.2f} ms"
            broken |= not at_once and middle > LIMIT
            limit = "" if at_once else f"≤ 5 ms: {'broken' if middle > LIMIT else 'held'}"
            name = "at once" if at_once else "spread"
            print(f"| {name} | {middle * 1e3:.2f} ms | {spread} | {late * 1e3:.2f} ms | {limit} |", flush=True)
    finally:
        for child in children:
            child.terminate()
            child.wait()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"\nCPU of engine and router together: {used.ru_utime + used.ru_stime:.1f} s")
    own, other = await cost(True, 300), await cost(False, 300)
    print(f"CPU of a streamed answer with its engine: own client {own * 1e3:.2f} ms, httpx {other * 1e3:.2f} ms")
    return int(broken)


async def listening(*ports: int) -> None:
    """Wait until something listens on all of them."""
    for port in ports:
        for _ in range(200):
            try:
                _, writer = await asyncio.open_connection(HOST, port)
                writer.close()
                break
            except OSError:
                await asyncio.sleep(0.05)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
