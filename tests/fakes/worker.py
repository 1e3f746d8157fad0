"""What the worker does on another machine, without an engine: a journal, logs, checkpoints and an adapter.

`python worker.py -m lora_tui.worker JOB`. Its weights are a chain of hashes, so that a run that went on from a
checkpoint ends with those of one that was never stopped. From its environment: FAKE_STEPS, FAKE_PAUSE (seconds a step),
FAKE_KEEPS (checkpoints), FAKE_AHEAD (seconds, of its clock) and FAKE_END ("fail": an error in its last step; "crash":
without a word).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
import time
from pathlib import Path

STEPS = int(os.environ.get("FAKE_STEPS", "20"))
PAUSE = float(os.environ.get("FAKE_PAUSE", "0.05"))
AHEAD = float(os.environ.get("FAKE_AHEAD", "0"))
EVERY = 5
KEEPS = int(os.environ.get("FAKE_KEEPS", "1000"))
WEIGHTS = "adapter_model.safetensors"


def weights_after(steps: int) -> bytes:
    """What the adapter is after so many steps."""
    state = b"the beginning"
    for step in range(1, steps + 1):
        state = _next(state, step)
    return _bytes(state)


def _next(state: bytes, step: int) -> bytes:
    return hashlib.sha256(state + str(step).encode()).digest()


def _bytes(state: bytes) -> bytes:
    return state * 20_000


def main(job: Path) -> int:
    """Train from the newest checkpoint of the job's folder."""
    folder = job.parent
    assert "dataset" in job.read_text()

    def say(kind: str, **more: object) -> None:
        with (folder / "journal.jsonl").open("a") as file:
            file.write(json.dumps({"type": kind, "time": time.time() + AHEAD, **more}) + "\n")

    def save(step: int, state: bytes) -> str:
        path = folder / "checkpoints" / f"checkpoint-{step}"
        draft = path.with_name(f".{path.name}.half")
        draft.mkdir(parents=True, exist_ok=True)
        (draft / "state").write_bytes(state)
        (draft / WEIGHTS).write_bytes(_bytes(state))
        if not path.exists():
            draft.rename(path)
        inside = path.relative_to(folder).as_posix()
        made = sorted(folder.glob("checkpoints/checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
        for old in made[:-KEEPS]:
            shutil.rmtree(old)
        say("checkpoint", step=step, path=inside)
        return inside

    found = sorted(int(path.name.split("-")[1]) for path in folder.glob("checkpoints/checkpoint-*"))
    begin = found[-1] if found else 0
    state = (folder / "checkpoints" / f"checkpoint-{begin}" / "state").read_bytes() if begin else b"the beginning"
    if os.environ.get("HF_TOKEN"):
        print("with a token", flush=True)
    say("started", pid=os.getpid(), host="box", total_steps=STEPS, resumed_from=begin or None)
    for step in range(begin + 1, STEPS + 1):
        time.sleep(PAUSE)
        while (folder / "pause").exists() and not (folder / "stop").exists():
            say("paused", step=step)
            while (folder / "pause").exists() and not (folder / "stop").exists():
                time.sleep(0.02)
            say("continued", step=step)
        state = _next(state, step)
        say("metrics", step=step, epoch=step / STEPS, loss=1 / step, learning_rate=1e-4)
        print(f"step {step}: ünd weiter", flush=True)
        print(f"step {step} on stderr", file=sys.stderr, flush=True)
        if (folder / "stop").exists():
            say("stopped", step=step, checkpoint=save(step, state))
            return 0
        if step % EVERY == 0:
            save(step, state)
        elif (folder / "checkpoint").exists():
            (folder / "checkpoint").unlink()
            save(step, state)
        if step == STEPS - 1 and os.environ.get("FAKE_END") == "fail":
            say("failed", reason="the planted error", fix="Plant none.")
            return 1
        if step == STEPS - 1 and os.environ.get("FAKE_END") == "crash":
            print("Killed by the test", file=sys.stderr, flush=True)
            return 9
    draft = folder / ".adapter"
    draft.mkdir(exist_ok=True)
    base = re.search(r'^base = "(.*)"', job.read_text(), re.M)
    (draft / "adapter_config.json").write_text(json.dumps({"r": 8, "base_model_name_or_path": base and base[1]}))
    (draft / WEIGHTS).write_bytes(_bytes(state))
    draft.rename(folder / "adapter")
    say("finished", steps=STEPS, loss=1 / STEPS, seconds=1.0, output="adapter")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[3])))
