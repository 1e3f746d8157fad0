"""What a verification adds to the time its server takes: 100 prompts, 2 models, 5 samples, 16 answered at once.

    python benchmarks/verify.py [--prompts 100] [--samples 5] [--repeats 3]

The server is a process of its own on loopback that answers 16 requests at once, each after 50 ms, and lets the others
wait; nobody tells the verification that it is 16. Ideal is the time in which such a server can answer them all. Limits:
1.15 times the ideal from the first question to the last answer (the warm-up, which asks one at a time, beside it), and
5 ms for each request beyond what the server took, at the median. `--app` follows the run in the app meanwhile and
measures how long its loop ever stood still.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lora_tui.jobs import supervisor
from lora_tui.jobs.journal import Answer, Asked, JournalReader
from lora_tui.jobs.view import RunView
from lora_tui.verify.running import run as verification
from lora_tui.workspace.layout import Workspace

SECONDS, PLACES = 0.05, 16
TOKENS = ("Each ", "answer ", "has ", "five ", "words.")
LIMIT, REQUEST_LIMIT = 1.15, 0.005


async def serve(port: int) -> None:
    """The server: OpenAI's chat completions, streamed."""
    free = asyncio.Semaphore(PLACES)
    models = json.dumps({"object": "list", "data": [{"id": name, "object": "model"} for name in ("base", "tuned")]})

    def events(model: str) -> bytes:
        def chunk(delta: dict[str, str], reason: str | None = None) -> dict[str, object]:
            return {"model": model, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}

        usage = {"model": model, "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": len(TOKENS) + 1}}
        said = [chunk({"role": "assistant", "content": ""}), chunk({"content": f"{model}: "})]
        said += [chunk({"content": token}) for token in TOKENS]
        lines = [json.dumps(event) for event in (*said, chunk({}, "stop"), usage)]
        return "".join(f"data: {line}\n\n" for line in (*lines, "[DONE]")).encode()

    def completion(model: str) -> bytes:
        message = {"role": "assistant", "content": f"{model}: {''.join(TOKENS)}"}
        usage = {"prompt_tokens": 9, "completion_tokens": len(TOKENS) + 1}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return json.dumps({"model": model, "choices": [choice], "usage": usage}).encode()

    def whole(writer: asyncio.StreamWriter, status: str, kind: str, data: bytes) -> None:
        writer.write(
            f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(data)}\r\n\r\n".encode() + data
        )

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = head.partition(b"content-length:")[2].split(b"\r\n")[0]
                body = await reader.readexactly(int(length or 0))
                if head.startswith(b"post /v1/chat/completions"):
                    asked = json.loads(body)
                    model = asked["model"]
                    if model not in ("base", "tuned"):
                        whole(writer, "404 Not Found", "application/json", b'{"error": {"message": "no such model"}}')
                        continue
                    async with free:
                        await asyncio.sleep(SECONDS)
                    if asked.get("stream"):
                        whole(writer, "200 OK", "text/event-stream", events(model))
                    else:
                        whole(writer, "200 OK", "application/json", completion(model))
                elif head.startswith(b"get /v1/models"):
                    whole(writer, "200 OK", "application/json", models.encode())
                else:
                    whole(writer, "404 Not Found", "application/json", b"{}")

    async with await asyncio.start_server(client, "127.0.0.1", port, backlog=512) as server:
        await server.serve_forever()


def suite(folder: Path, prompts: int) -> Path:
    """A suite that asks as many."""
    lines = ["tests:"]
    for number in range(prompts):
        lines.append(f"  - vars: {{prompt: 'Question {number} of many'}}")
        lines.append("    assert: [{type: contains, value: answer}, {type: regex, value: 'f.ve w'}]")
    path = folder / "many.yaml"
    path.write_text("\n".join(lines))
    return path


def measure(url: str, given: argparse.Namespace, watch: bool) -> tuple[float, float, float, float, int, float]:
    """Of one run: seconds of asking, of warming up, added per request, CPU per request, at once, longest stall."""
    with tempfile.TemporaryDirectory() as scratch:
        workspace = Workspace(Path(scratch) / "workspace")
        path = suite(Path(scratch), given.prompts)
        names = (f"openai:{url}#base", f"openai:{url}#tuned")
        made = verification.create(workspace, str(path), *names, samples=given.samples)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        supervisor.start(made)
        stall = asyncio.run(follow(workspace, made)) if watch else 0.0
        assert supervisor.wait(made, 300)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        view = RunView.of(made)
        assert view.state == "finished", view.failure
        events = list(JournalReader(made.journal).read())
    answers = [event for event in events if isinstance(event, Answer)]
    asked = [event for event in events if isinstance(event, Asked)]
    assert len(answers) == 2 * given.prompts * given.samples
    assert not any(answer.error for answer in answers)
    begun = min(answer.time - answer.seconds for answer in answers)
    took = max(answer.time for answer in answers) - begun
    waited = statistics.median(answer.seconds for answer in answers) - SECONDS
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    warm = sum({event.side: event.warm_up_seconds for event in asked}.values())
    return took, warm, waited, used / len(answers), max(event.at_once for event in asked), stall


async def follow(workspace: Workspace, made: supervisor.Run) -> float:
    """Follow the run on the Verify screen; the longest that the app's loop stood still, in seconds."""
    from lora_tui.tui.app import LoraTuiApp

    longest = 0.0
    async with LoraTuiApp(workspace).run_test(size=(160, 50)) as pilot:
        await pilot.press("f7")
        while supervisor.is_alive(made):
            begun = time.perf_counter()
            await asyncio.sleep(0.01)
            longest = max(longest, time.perf_counter() - begun - 0.01)
    return longest


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=100)
    parser.add_argument("--samples", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--app", action="store_true")
    parser.add_argument("--serve", type=int, metavar="PORT", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        asyncio.run(serve(given.serve))
    from lora_tui.adapters.serving.process import free_port

    port = free_port()
    child = subprocess.Popen([sys.executable, __file__, "--serve", str(port)])
    requests = 2 * given.prompts * given.samples
    ideal = requests * SECONDS / PLACES
    print(f"{requests} requests, ideal {ideal:.2f} s\n")
    print("| run | asking | of the ideal | warm-up | added per request, median | its CPU | at once | app stood still |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    try:
        time.sleep(1)
        runs = []
        for number in range(given.repeats):
            found = measure(f"http://127.0.0.1:{port}/v1", given, given.app)
            runs.append(found)
            took, warm, waited, used, many, stall = found
            watched = f"{stall * 1e3:.0f} ms" if given.app else ""
            print(
                f"| {number + 1} | {took:.2f} s | {took / ideal:.3f} | {warm:.2f} s | {waited * 1e3:.2f} ms "
                f"| {used * 1e3:.2f} ms | {many} | {watched} |",
                flush=True,
            )
    finally:
        child.terminate()
        child.wait()
    ratio = statistics.median(found[0] for found in runs) / ideal
    added = statistics.median(found[2] for found in runs)
    broken = ratio > LIMIT or added > REQUEST_LIMIT
    print(f"\nmedian {ratio:.3f} of the ideal (limit {LIMIT}), {added * 1e3:.2f} ms added (limit 5): ", end="")
    print("broken" if broken else "held")
    return int(broken)


if __name__ == "__main__":
    raise SystemExit(main())
