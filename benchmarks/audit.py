"""The audit against `datasets.map` with nothing but apply_chat_template, over the same 6,000 rows on the same cores.

    python benchmarks/audit.py [--runs 3] [--rows 6000] [--scratch FOLDER]

Both run in processes of their own, in turn. The rows are a system message, a request and an answer with code from this
Python's own library, some 1.5 KB each; the tokenizer is a byte-level BPE of 32,768 entries made of the same library,
kept in the scratch folder, with a ChatML template. The audit does all it does for a person: reading, masks, lengths,
every finding with near-duplicates and 100 suite prompts, writing the file. Limit: 1.3 times the bare call.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

LIMIT = 1.3
VOCABULARY = 32_768
BATCH = 4
MAX_LENGTH = 4096
SYSTEM = (
    "You are a programmer who writes careful, idiomatic code. Answer with the code alone, in one block, without a word "
    "before or after it. Use the standard library where it is enough, name things for what they are, and handle the "
    "errors that can happen."
)
TEMPLATE = (
    "{%- if tools %}{{- '<|im_start|>system\\n' }}"
    "{%- if messages[0]['role'] == 'system' %}{{- messages[0]['content'] }}{%- endif %}"
    "{{- '\\n\\n# Tools\\n<tools>' }}{%- for tool in tools %}{{- '\\n' + (tool | tojson) }}{%- endfor %}"
    "{{- '\\n</tools><|im_end|>\\n' }}"
    "{%- elif messages[0]['role'] == 'system' %}"
    "{{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}"
    "{%- endif %}"
    "{%- for message in messages %}"
    "{%- if message.role == 'user' or (message.role == 'system' and not loop.first) "
    "or (message.role == 'assistant' and not message.tool_calls) %}"
    "{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}"
    "{%- elif message.role == 'assistant' %}{{- '<|im_start|>assistant' }}"
    "{%- if message.content %}{{- '\\n' + message.content }}{%- endif %}"
    "{%- for call in message.tool_calls %}{%- if call.function %}{%- set call = call.function %}{%- endif %}"
    "{{- '\\n<tool_call>\\n{\"name\": \"' + call.name + '\", \"arguments\": ' + (call.arguments | tojson) + '}' }}"
    "{{- '\\n</tool_call>' }}{%- endfor %}{{- '<|im_end|>\\n' }}"
    "{%- elif message.role == 'tool' %}"
    "{%- if loop.index0 == 0 or messages[loop.index0 - 1].role != 'tool' %}{{- '<|im_start|>user' }}{%- endif %}"
    "{{- '\\n<tool_response>\\n' + message.content + '\\n</tool_response>' }}"
    "{%- if loop.last or messages[loop.index0 + 1].role != 'tool' %}{{- '<|im_end|>\\n' }}{%- endif %}"
    "{%- endif %}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)
PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def main() -> int:
    """Print every run and the ratio; exit code 1 above the limit."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--rows", type=int, default=6000)
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()) / "lora-tui-audit-benchmark")
    parser.add_argument("--as", dest="role", choices=("map", "audit"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.role:
        (_map if given.role == "map" else _audit)(given.folder, given.scratch / "base")
        return 0
    base = given.scratch / "base"
    if not (base / "tokenizer.json").is_file():
        _make_base(base)
    with tempfile.TemporaryDirectory(dir=given.scratch) as name:
        folder = Path(name)
        size = _write_rows(folder / "dataset", given.rows)
        print(f"{given.rows:,} rows, {size / 1e6:.1f} MB, {os.cpu_count()} cores")
        print("run  what    CPU s whole  wall s whole  CPU s work  wall s work")
        found: dict[str, list[dict[str, float]]] = {"map": [], "audit": []}
        for number in range(given.runs):
            for role in ("map", "audit") if number % 2 == 0 else ("audit", "map"):
                one = _timed(role, folder, given.scratch)
                found[role].append(one)
                numbers = f"{one['cpu']:>11.2f}  {one['wall']:>12.2f}  {one['work_cpu']:>10.2f}  {one['work']:>11.2f}"
                print(f"{number + 1:>3}  {role:<6}  {numbers}", flush=True)
        ratios = {}
        for key, what in (
            ("cpu", "CPU, whole process"),
            ("wall", "wall, whole process"),
            ("work_cpu", "CPU, without imports"),
            ("work", "wall, without imports"),
        ):
            middle = {role: statistics.median(one[key] for one in runs) for role, runs in found.items()}
            ratios[key] = middle["audit"] / middle["map"]
            print(f"{what:<22} {middle['audit']:.2f} / {middle['map']:.2f} = {ratios[key]:.2f} (limit {LIMIT})")
        print(_findings(folder))
        print(f"second audit of the same pair: {_again(folder, base) * 1000:.1f} ms, no process started")
    return int(max(ratios.values()) > LIMIT)


def _timed(role: str, folder: Path, scratch: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--as", role, "--folder", str(folder), "--scratch", str(scratch)]
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = os.environ | {
        "TOKENIZERS_PARALLELISM": "false",  # as the app starts its workers
        "HF_DATASETS_CACHE": str(folder / "cache"),
        "HF_HUB_OFFLINE": "1",
    }
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    inner = json.loads(done.stdout.splitlines()[-1])
    return {"cpu": cpu, "wall": time.perf_counter() - begin, **inner}


def _work(work: Callable[[], Any]) -> None:
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    print(json.dumps({"work_cpu": time.process_time() - cpu, "work": time.perf_counter() - wall}))


def _map(folder: Path, base: Path) -> None:
    import datasets
    from transformers import AutoTokenizer

    datasets.disable_progress_bars()

    def work() -> None:
        tokenizer = AutoTokenizer.from_pretrained(base, local_files_only=True)
        for split in ("train", "validation", "test"):
            path = str(folder / "dataset" / f"{split}.jsonl")
            rows = datasets.load_dataset("json", data_files=path, split="train", keep_in_memory=True)
            rows.map(
                lambda row: tokenizer.apply_chat_template(row["messages"], tokenize=True),
                load_from_cache_file=False,
            )

    _work(work)


def _audit(folder: Path, base: Path) -> None:
    import lora_tui.worker.audit  # noqa: F401
    from lora_tui.worker.__main__ import main as worker

    (folder / "job" / "journal.jsonl").unlink(missing_ok=True)
    _write_job(folder, base)

    def work() -> None:
        assert worker([str(folder / "job" / "job.toml")]) == 0, "the audit failed"

    _work(work)


def _write_job(folder: Path, base: Path) -> None:
    from lora_tui.jobs.job import Audit, JobFile
    from lora_tui.workspace import toml

    job = Audit(
        base=str(base),
        dataset=str(folder / "dataset"),
        output=str(folder / "audit.json"),
        max_length=MAX_LENGTH,
        batch_size=BATCH,
        languages=("python",),
        suites=tuple(("bench", prompt) for prompt in _prompts()),
    )
    (folder / "job").mkdir(exist_ok=True)
    file = JobFile(id="benchmark", title="audit", created=time.time(), workspace="", job=job)
    (folder / "job" / "job.toml").write_text(toml.dump(file))


def _findings(folder: Path) -> str:
    from lora_tui.jobs import audit

    found = audit.load(folder / "audit.json")
    told = ", ".join(f"{item.severity} {item.code} {item.count}" for item in found.findings) or "none"
    return f"tokens of train {found.train.tokens:,}, with loss {found.train.loss_tokens:,}; findings: {told}"


def _again(folder: Path, base: Path) -> float:
    """Seconds that a person waits for an audit that was made before, in a workspace of its own."""
    from lora_tui.backends import audits
    from lora_tui.dataset.model import Dataset, Manifest
    from lora_tui.workspace.layout import Workspace
    from lora_tui.workspace.profiles import Model, Profile

    manifest = Manifest(
        name="bench",
        version=1,
        created=0.0,
        hash="0" * 64,
        seed=1,
        split=(80, 10, 10),
        split_rule="",
        rows={},
        files={},
    )
    dataset = Dataset(folder=folder / "dataset", manifest=manifest)
    workspace = Workspace(folder / "workspace")
    profile = Profile(name="bench", model=Model(base=str(base)))
    audits.ensure(workspace, dataset, str(base), profile)
    begin = time.perf_counter()
    audits.ensure(workspace, dataset, str(base), profile)
    return time.perf_counter() - begin


def _sources() -> list[Path]:
    library = Path(sysconfig.get_paths()["stdlib"])
    return sorted(path for path in library.rglob("*.py") if "site-packages" not in path.parts)


def _make_base(base: Path) -> None:
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast, Qwen2Config

    base.mkdir(parents=True, exist_ok=True)
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    core.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator((path.read_text(errors="replace") for path in _sources()), trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token="<|endoftext|>",
        eos_token="<|im_end|>",
        chat_template=TEMPLATE,
        clean_up_tokenization_spaces=False,
    )
    Qwen2Config(vocab_size=len(tokenizer), hidden_size=64, num_hidden_layers=2).save_pretrained(base)
    tokenizer.save_pretrained(base)
    print(f"made a tokenizer of {len(tokenizer):,} entries in {base}")


def _write_rows(folder: Path, count: int) -> int:
    """Rows with 1,100 characters of code each on average, no two alike; 80/10/10. Returns bytes."""
    random_ = random.Random(7)
    pieces: list[tuple[str, str]] = []
    for path in _sources():
        text = path.read_text(errors="replace")
        at = 0
        while at + 400 < len(text):
            end = text.find("\n", min(len(text) - 1, at + random_.randint(500, 1400))) + 1 or len(text)
            pieces.append((path.stem, text[at:end]))
            at = end
    random_.shuffle(pieces)
    folder.mkdir()
    size = 0
    shares = {"train": count * 8 // 10, "validation": count // 10, "test": count - count * 8 // 10 - count // 10}
    taken = iter(pieces)
    for split, number in shares.items():
        with (folder / f"{split}.jsonl").open("w") as file:
            for _ in range(number):
                name, code = next(taken)
                words = ", ".join(sorted(set(code.split()), key=len)[-6:])
                messages = [
                    {"role": "system", "content": SYSTEM},
                    {"role": "user", "content": f"Write the part of a module {name} that deals with {words}."},
                    {"role": "assistant", "content": f"```python\n{code}```"},
                ]
                row = {"id": f"{random_.getrandbits(64):016x}", "messages": messages, "language": "python"}
                size += file.write(json.dumps(row) + "\n")
    return size


def _prompts() -> list[str]:
    things = ("queue", "parser", "cache", "scheduler", "tokenizer", "matrix", "graph", "ledger", "router", "filter")
    wants = (
        "Write a {thing} that reads its settings from a file, keeps at most a hundred entries and counts its uses.",
        "Explain how a {thing} would be tested when its input comes from several threads at once, and write the tests.",
    )
    uses = ("for a shop", "for a library", "for a game", "for a robot", "for a bank")
    return [f"{want.format(thing=thing)} It is {use}." for thing in things for want in wants for use in uses]


if __name__ == "__main__":
    sys.exit(main())
