"""What is forgotten of an old task and of general ability when a new task is learned, with and without each remedy.

    python benchmarks/forgetting.py [--seeds 3] [--scratch FOLDER] [--only WORD] [--json FILE]

Real training by the engine itself: a base of two million parameters that knows a general language; an adapter that
learns task A; then the same adapter goes on with task B. Each task is a language of its own: an answer is eight words,
each drawn from three that the word before it and the task's name decide with odds of 7 : 2 : 1 (0.80 nats a word). The
tasks share their words, so that what one learns is wrong for the others unless the name is minded. Rows are held out by
their draw. A seed changes languages, rows, weights and order. Replay and KL read a chat file of 40 general and 40 A
conversations, none of which is measured on; EWC has the Fisher information that the adapter of A keeps.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("PYTHONWARNINGS", "ignore")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

LENGTH = 8  # words of an answer
EACH = 3  # words to choose from at every place
ODDS = (0.7, 0.2, 0.1)
ROWS = 160  # of a task's training
EPOCHS = 3.0
HELD = 40  # of each measured set
REPLAY = 40  # of each kind in the replay file
BASE_STEPS = 500
SYLLABLES = ("ka", "lo", "mi", "tu", "re", "so", "na", "vi")

REMEDIES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "EWC λ = 100": {"ewc": 100.0},
    "EWC λ = 1,000": {"ewc": 1_000.0},
    "EWC λ = 10,000": {"ewc": 10_000.0},
    "L2 0.01": {"l2": 0.01},
    "L2 0.1": {"l2": 0.1},
    "replay, stored, 10 %": {"replay": "stored", "replay_share": 0.1},
    "replay, stored, 25 %": {"replay": "stored", "replay_share": 0.25},
    "replay, own answers, 25 %": {"replay": "self", "replay_share": 0.25},
    "KL 1": {"kl": 1.0},
    "KL 1 on own answers, replay 25 %": {"kl": 1.0, "replay": "self", "replay_share": 0.25},
}


class Language:
    """Which words may follow which: one for each task, over the same words."""

    def __init__(self, name: str, seed: str) -> None:
        self.name = name
        draw = random.Random(f"{name} {seed}")
        self.after = {(at, word): draw.sample(words(at), EACH) for at in range(1, LENGTH + 1) for word in words(at - 1)}

    def chat(self, draw: random.Random) -> tuple[str, str]:
        """A question and its answer."""
        word = first = draw.choice(words(0))
        said = []
        for at in range(1, LENGTH + 1):
            word = draw.choices(self.after[at, word], ODDS)[0]
            said.append(word)
        return f"Go on in {self.name}: {first}", " ".join(said)


def words(at: int) -> list[str]:
    """The words of one place."""
    return [SYLLABLES[at % len(SYLLABLES)] + end + ("" if at < len(SYLLABLES) else "h") for end in ("ba", "go", "lu")]


def chats(language: Language, number: int, seed: str) -> list[tuple[str, str]]:
    """Conversations of one language."""
    draw = random.Random(f"{language.name} {seed}")
    return [language.chat(draw) for _ in range(number)]


GENERAL = Language("Gala", "the base's own")


def main() -> None:
    """Train, measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--scratch", type=Path, help="keeps the base between calls")
    parser.add_argument("--only", default="", help="remedies whose name has this word")
    parser.add_argument("--json", type=Path, help="every figure of every seed")
    given = parser.parse_args()
    begin, busy = time.monotonic(), time.process_time()
    with contextlib.ExitStack() as stack:
        scratch = given.scratch or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        base = make_base(scratch)
        found: dict[str, list[dict[str, float]]] = {}
        for seed in range(given.seeds):
            work = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=scratch)))
            for name, losses in one_seed(base, work, str(seed), given.only):
                found.setdefault(name, []).append(losses)
                if given.json:  # as it comes: it takes minutes
                    given.json.write_text(json.dumps(found, indent=1))
    print(table(found))
    print(f"\n{time.process_time() - busy:.0f} CPU s, {time.monotonic() - begin:.0f} s")


def make_base(scratch: Path) -> Path:
    """A base that speaks the general language, made by the engine as the demo's is."""
    from lora_tui.jobs.job import TinyBase
    from lora_tui.worker.tiny_model import make_base as make

    output = scratch / "base"
    if output.is_dir():
        return output
    scratch.mkdir(parents=True, exist_ok=True)
    rows = [{"ask": [ask], "say": [say]} for ask, say in chats(GENERAL, 1500, "to learn")]
    text = [" ".join(words(at)) for at in range(LENGTH + 1)] + ["Go on in Aran: Go on in Boro: Go on in Gala:"]
    lines = [f"text = {json.dumps(text)}"]
    lines += [f"[[chat]]\nask = {json.dumps(row['ask'])}\nsay = {json.dumps(row['say'])}" for row in rows]
    (scratch / "chats.toml").write_text("\n".join(lines) + "\n")
    with journal_in(scratch / "made") as (folder, log, asked):
        make(TinyBase(chats=str(scratch / "chats.toml"), output=str(output), steps=BASE_STEPS), folder, log, asked)
    return output


def one_seed(base: Path, work: Path, seed: str, only: str) -> Iterator[tuple[str, dict[str, float]]]:
    """The losses on the old task, the new one and the general language, before and after each way to learn."""
    old, new = Language("Aran", seed), Language("Boro", seed)
    held = {
        "A": chats(old, HELD, f"held {seed}"),
        "B": chats(new, HELD, f"held {seed}"),
        "general": chats(GENERAL, HELD, f"held {seed}"),
    }
    replay = chats(GENERAL, REPLAY, f"replay {seed}") + chats(old, REPLAY, f"replay {seed}")
    (work / "replay.jsonl").write_text("".join(json.dumps({"prompt": a, "completion": s}) + "\n" for a, s in replay))
    for language in (old, new):
        write_dataset(work / language.name, chats(language, ROWS, f"train {seed}"))
    yield "base", losses(base, None, held)
    first = train(base, work, "first", work / old.name, seed, {"keep_fisher": True})
    yield "after A", losses(base, first, held)
    for name, wish in REMEDIES.items():
        if only in name:
            last = train(base, work, name, work / new.name, seed, wish, start=first)
            yield f"then B, {name}", losses(base, last, held)


def write_dataset(folder: Path, rows: list[tuple[str, str]]) -> None:
    """A dataset folder as the engine reads it; a task's rows, no validation."""
    folder.mkdir(parents=True)
    lines = [
        {"id": f"{at}", "messages": [{"role": "user", "content": ask}, {"role": "assistant", "content": say}]}
        for at, (ask, say) in enumerate(rows)
    ]
    (folder / "train.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def train(
    base: Path, work: Path, name: str, dataset: Path, seed: str, wish: dict[str, Any], start: Path | None = None
) -> Path:
    """One run of the engine; the folder of its adapter."""
    from lora_tui.jobs.job import Train
    from lora_tui.worker.train import train as run
    from lora_tui.workspace.profiles import Forgetting, Lora, Model, Profile, Training

    profile = Profile(
        name="forgetting",
        model=Model(base=str(base)),
        lora=Lora(r=16, lora_alpha=32),
        training=Training(
            num_train_epochs=EPOCHS,
            per_device_train_batch_size=8,
            gradient_accumulation_steps=1,
            learning_rate=2e-3,
            max_length=256,
            logging_steps=20,
            save_steps=100_000,
            report_to=(),
            threads=1,
            seed=int(seed),
        ),
        forgetting=Forgetting(measure=False, **wish),
    )
    job = Train(
        profile=profile,
        base=str(base),
        dataset=str(dataset),
        start_from=str(start or ""),
        replay=str(work / "replay.jsonl"),
    )
    with journal_in(work / name.replace(" ", "-")) as (folder, log, asked):
        run(job, folder, log, asked)
    return folder / "adapter"


def losses(base: Path, adapter: Path | None, held: dict[str, list[tuple[str, str]]]) -> dict[str, float]:
    """Mean loss in nats per token on each held set, as the engine measures forgetting."""
    from peft import LoraConfig, get_peft_model

    from lora_tui.worker import loading
    from lora_tui.worker.forgetting.general import measured
    from lora_tui.worker.forgetting.replay import tokens_of
    from lora_tui.worker.forgetting.scores import batches
    from lora_tui.worker.rows import Row

    tokenizer = loading.load_tokenizer(str(base))
    bare = loading.load_model(str(base), bf16=False, device="cpu")
    model = loading.load_adapter(bare, str(adapter)) if adapter else get_peft_model(bare, LoraConfig(r=1))
    found = {}
    for name, rows in held.items():
        made = [
            Row(id=str(at), messages=[{"role": "user", "content": ask}, {"role": "assistant", "content": say}])
            for at, (ask, say) in enumerate(rows)
        ]
        tokens = tokens_of(made, tokenizer, 256)
        found[name], _ = measured(model, batches(tokens, tokenizer.pad_token_id, 16), None)
    return found


@contextlib.contextmanager
def journal_in(folder: Path) -> Iterator[tuple[Path, Any, Any]]:
    """A run folder with its journal; what the libraries print is not shown."""
    from lora_tui.jobs import journal
    from lora_tui.worker.requests import Requests

    folder.mkdir(parents=True, exist_ok=True)
    log = journal.Journal(folder / "journal.jsonl")
    with contextlib.redirect_stdout(io.StringIO()):
        yield folder, log, Requests(folder)
    log.close()


def table(found: dict[str, list[dict[str, float]]]) -> str:
    """Mean ± standard deviation over the seeds, in Markdown."""
    lines = ["| | A (old) | B (new) | general |", "|---|---:|---:|---:|"]
    for name, seeds in found.items():
        cells = []
        for key in ("A", "B", "general"):
            values = [losses[key] for losses in seeds]
            spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
            cells.append(f"{statistics.mean(values):.2f}{spread}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
