"""Training against TRL's own script and against a bare loop: the same data, seed and loss, side by side.

    python benchmarks/train.py [--part tiny|half|tokenise|telling ...] [--threads 1|all ...] [--scratch FOLDER]
                               [--blocks 5] [--half-rows 2]

Parts (all of them unless named):

tiny      a Qwen2 of 4 layers on 1,200 functions of this Python's library, 150 steps of 8 rows: TRL as it ships (bf16
          autocast, checkpointing), TRL in fp32 with its default padding, a bare PyTorch loop, and a run of the worker
          with its journal. Limits: 6 times TRL as shipped, 0.95 of the bare loop, memory no higher than TRL's.
half      the shape of Qwen2.5-0.5B with random weights, 298 interactions, the settings of `coder-7b-cpu`. Limits: 3
          times TRL as shipped in fp32, 4 times with bf16, memory no higher than TRL's. With ACCUMULATION=8 DROPOUT=0.1
          in the environment as that profile has them; else 1 and 0, as losses can be compared only without dropout.
tokenise  rows to ids and labels. Limit: 4 times SFTTrainer's preparation, with identical results.
telling   the journal and the watch of the machine, on and off. Limit: 0.5 %.

Every case is a process of its own. They make their steps in turn, a block each, and wait for the others in between, so
that a busy machine is busy for all. What counts is CPU seconds and trained-on tokens; a ratio is the median over the
blocks after the first few steps. The steps of the larger model are too long to make many: there all cases see the same
rows once, and the ratio is that of all blocks together. Losses are compared on the same batches: TRL is given ours.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

VOCABULARY = 8192
MAX_LENGTH = {"tiny": 512, "half": 2048}
BATCH = {"tiny": 8, "half": 2}
ACCUMULATION = int(os.environ.get("ACCUMULATION", "1"))  # of the larger model; `coder-7b-cpu` has 8
DROPOUT = float(os.environ.get("DROPOUT", "0"))  # of its adapter; `coder-7b-cpu` has 0.1
WARM_UP = 3  # steps
SEED = 0
TEMPLATE = (
    "{%- for message in messages %}{{- '<|im_start|>' + message['role'] + '\\n' }}"
    "{%- if message['role'] == 'assistant' %}{% generation %}{{- message['content'] + '<|im_end|>\\n' }}"
    "{% endgeneration %}{%- else %}{{- message['content'] + '<|im_end|>\\n' }}{%- endif %}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)


# What is trained on


def functions() -> Iterator[tuple[str, str, str, str]]:
    """(module, name, source, the module's text) of the functions in this Python's top-level library modules."""
    for path in sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py")):
        text = path.read_text(encoding="utf-8", errors="replace")
        try:
            tree = ast.parse(text)
        except SyntaxError:
            continue
        lines = text.encode().splitlines(keepends=True)  # `ast.get_source_segment` would split them for each function
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                inside = lines[node.lineno - 1 : node.end_lineno]
                inside[-1] = inside[-1][: node.end_col_offset]
                source = b"".join(inside)[node.col_offset :].decode()
                if 80 < len(source) < 6000:
                    yield path.stem, node.name, source, text


def tiny_rows() -> list[dict[str, Any]]:
    """1,200 functions, each asked for by its name."""
    rows = [
        _row(f"Write the Python function `{name}` of module {module}.", code) for module, name, code, _ in functions()
    ]
    random.Random(0).shuffle(rows)
    return rows[:1200]


def half_rows() -> list[dict[str, Any]]:
    """298 interactions as a coding agent has them: a request with a piece of the file, and the function as answer.

    The context is log-normal (median 500 characters), so that rows are 50 to 2,000 tokens long, 350 in the mean.
    """
    rng = random.Random(1)
    found = list(functions())
    rng.shuffle(found)
    rows = []
    for module, name, code, text in found[:298]:
        size = min(4500, int(rng.lognormvariate(6.2, 0.9)))
        at = max(0, text.find(code) - size)
        ask = f"In {module}.py the function `{name}` is missing. Write it.\n\n```python\n{text[at : at + size]}\n```"
        rows.append(_row(ask, code[:3000]))
    return rows


def _row(ask: str, answer: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": ask}, {"role": "assistant", "content": answer}]}


def make_tokenizer(scratch: Path) -> Any:
    """A byte-level BPE of this Python's library with a ChatML template, kept in the scratch folder."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    folder = scratch / "tokenizer"
    if folder.is_dir():
        return AutoTokenizer.from_pretrained(folder)
    plain = Tokenizer(models.BPE())
    plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    plain.decoder = decoders.ByteLevel()
    names = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    teacher = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=names, initial_alphabet=alphabet, show_progress=False
    )
    plain.train([str(path) for path in sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))], teacher)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=plain, pad_token="<|endoftext|>", eos_token="<|im_end|>", chat_template=TEMPLATE
    )
    tokenizer.save_pretrained(folder)
    return tokenizer


def prepare(scratch: Path, part: str, longest: int = 0, steps: int = 0) -> None:
    """The base of a part, kept in the scratch folder, and its dataset.

    longest: rows of at most so many tokens (0: all). steps: of the other part, whose rows all cases see once in them.
    """
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    base, dataset = scratch / part / "base", scratch / part / "dataset"
    tokenizer = make_tokenizer(scratch)
    shape: dict[str, int] = (
        {
            "vocab_size": VOCABULARY,
            "hidden_size": 128,
            "intermediate_size": 352,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
        }
        if part == "tiny"
        else {
            "vocab_size": 151_936,
            "hidden_size": 896,
            "intermediate_size": 4864,
            "num_hidden_layers": 24,
            "num_attention_heads": 14,
        }
    )
    ids = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id}
    torch.manual_seed(0)
    config = Qwen2Config(**shape, num_key_value_heads=2, max_position_embeddings=4096, tie_word_embeddings=True, **ids)
    dataset.mkdir(parents=True, exist_ok=True)
    rows = tiny_rows() if part == "tiny" else half_rows()
    if longest:
        rows = [row for row in rows if len(tokenizer.apply_chat_template(row["messages"])["input_ids"]) <= longest]
    rows = rows[: steps * BATCH[part] * ACCUMULATION] if steps and part == "half" else rows
    lines = [json.dumps({"id": f"row-{place}", **row}) + "\n" for place, row in enumerate(rows)]
    (dataset / "train.jsonl").write_text("".join(lines))
    for split in ("validation", "test"):
        (dataset / f"{split}.jsonl").write_text("")
    if not (base / "config.json").exists():
        tokenizer.save_pretrained(base)
        Qwen2ForCausalLM(config).save_pretrained(base)


# The cases. Each says on its stdout what a block took, and waits on its stdin before the next.


class Turns:
    """The steps of a case, cut into blocks that are made when it is this process's turn."""

    def __init__(self, per_block: int, warm_up: int) -> None:
        self.per_block = per_block
        self.warm_up = warm_up  # steps that do not count
        self.step = 0
        self.tokens = 0
        self.losses: list[float] = []
        self.spent = 0.0
        self.begun = 0.0

    def before(self) -> None:
        """A step begins."""
        if self.step % self.per_block == 0:
            say({"ready": True})
            if not sys.stdin.readline():
                sys.exit(0)
            self.spent = self.tokens = 0
        self.begun = time.process_time()

    def after(self, loss: float, tokens: int) -> None:
        """It has ended: `tokens` were trained on."""
        taken = time.process_time() - self.begun
        self.step += 1
        self.losses.append(loss)
        if self.step > self.warm_up:
            self.spent += taken
            self.tokens += tokens
        if self.step % self.per_block == 0:
            say({"cpu": self.spent, "tokens": self.tokens, "losses": self.losses[-self.per_block :]})


def say(word: dict[str, Any]) -> None:
    """A line to the driver."""
    WIRE.write(json.dumps(word) + "\n")
    WIRE.flush()


def peak_bytes() -> int:
    """The most this process ever held."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def profile_of(part: str, steps: int, bf16: bool, packing: bool = False) -> Any:
    """What is trained with: the settings of the facts for the tiny one, of `coder-7b-cpu` for the other."""
    from lora_tui.workspace.profiles import Forgetting, Lora, Model, Profile, Training

    tiny = part == "tiny"
    return Profile(
        name=part,
        model=Model(base=part),
        lora=Lora(r=16, lora_alpha=32)
        if tiny
        else Lora(r=8, lora_alpha=32, lora_dropout=DROPOUT, target_modules=("q_proj", "k_proj", "v_proj", "o_proj")),
        training=Training(
            max_steps=steps,
            per_device_train_batch_size=BATCH[part],
            gradient_accumulation_steps=1 if tiny else ACCUMULATION,
            learning_rate=2e-4,
            lr_scheduler_type="constant",
            max_length=MAX_LENGTH[part],
            optim="adamw_torch_fused",
            gradient_checkpointing=not tiny,
            weight_decay=0.0 if tiny else 0.01,
            bf16=bf16,
            packing=packing,
            seed=SEED,
        ),
        forgetting=Forgetting(measure=False),  # evaluations are no part of the steps that are compared
    )


def ours(folder: Path, part: str, turns: Turns, steps: int, bf16: bool, packing: bool = False) -> None:
    """A run as the worker makes it of job.toml, with two watchers that only take the time."""
    from transformers import TrainerCallback

    from lora_tui.jobs import journal
    from lora_tui.jobs.job import Train
    from lora_tui.worker import allocator
    from lora_tui.worker import train as room
    from lora_tui.worker.requests import Requests

    allocator.prepare()  # as the worker's process begins

    class Steps(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            self.before = told[0].tokens

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **rest: Any) -> None:
            if "loss" in logs:
                turns.after(float(logs["loss"]), told[0].tokens - self.before)

    told: list[Any] = []

    class Timed(room.AssistantTrainer):  # type: ignore[name-defined,misc]
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            self.add_callback(Steps())

        def get_batch_samples(self, *given: Any, **named: Any) -> Any:
            if self.model.training:
                told[:] = [self.telling]
                turns.before()
            return super().get_batch_samples(*given, **named)

    room.AssistantTrainer = Timed  # type: ignore[misc]
    work = folder / f"run-{os.getpid()}"
    work.mkdir(parents=True)
    job = Train(
        profile=profile_of(part, steps, bf16, packing), base=str(folder / "base"), dataset=str(folder / "dataset")
    )
    log = journal.Journal(work / "journal.jsonl")
    room.train(job, work, log, Requests(work))


def table_of(folder: Path, part: str, work: Path) -> Any:
    """The tokenizer, and the rows as a table of tokens: for TRL and the bare loop those that we train on."""
    from lora_tui.worker import loading
    from lora_tui.worker.rows import read_rows
    from lora_tui.worker.token_table import write_rows
    from lora_tui.worker.tokenize import Tokens, tokenize

    tokenizer = loading.load_tokenizer(str(folder / "base"))
    made = tokenize(tokenizer, read_rows(folder / "dataset", "train"), "train", MAX_LENGTH[part])
    return tokenizer, write_rows(work / "rows.arrow", (item for item in made if isinstance(item, Tokens)))


def trl(folder: Path, part: str, turns: Turns, steps: int, *, shipped: bool, checkpointing: bool, given: bool) -> None:
    """SFTTrainer. `shipped`: in its own precision, bf16; `given`: our order of the rows, to compare losses."""
    import torch
    from peft import get_peft_model
    from transformers import TrainerCallback
    from trl import SFTConfig, SFTTrainer

    from lora_tui.worker import loading
    from lora_tui.worker.lora import lora_config
    from lora_tui.worker.row_order import RowOrder
    from lora_tui.worker.token_table import lengths_of

    work = folder / f"trl-{os.getpid()}"
    tokenizer, table = table_of(folder, part, work)
    profile = profile_of(part, steps, False)
    torch.manual_seed(SEED)
    model = get_peft_model(loading.load_model(str(folder / "base"), bf16=False, device="cpu"), lora_config(profile))
    model.config.use_cache = False
    counted = [0]

    class Steps(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **rest: Any) -> None:
            if "loss" in logs:
                turns.after(float(logs["loss"]), counted[0])

    class Timed(SFTTrainer):
        def get_batch_samples(self, *arguments: Any, **named: Any) -> Any:
            turns.before()
            batches, items = super().get_batch_samples(*arguments, **named)
            counted[0] = int(sum((batch["labels"] != -100).sum() for batch in batches))
            return batches, items

        def _get_train_sampler(self, train_dataset: Any = None) -> Any:
            if not given:
                return super()._get_train_sampler(train_dataset)
            return RowOrder("group_by_length", lengths_of(table), BATCH[part], SEED)

    plain: dict[str, Any] = {} if shipped else {"bf16": False}
    if not checkpointing:
        plain["gradient_checkpointing"] = False
    trainer = Timed(
        model=model,
        args=SFTConfig(
            output_dir=str(work),
            max_steps=steps,
            per_device_train_batch_size=BATCH[part],
            gradient_accumulation_steps=profile.training.gradient_accumulation_steps,
            learning_rate=2e-4,
            lr_scheduler_type="constant",
            weight_decay=profile.training.weight_decay,
            logging_steps=1,
            save_strategy="no",
            seed=SEED,
            max_length=MAX_LENGTH[part],
            use_cpu=True,
            dataloader_pin_memory=False,
            disable_tqdm=True,
            report_to="none",
            **plain,
        ),
        train_dataset=table.select_columns(["input_ids", "labels"]),
        processing_class=tokenizer,
        callbacks=[Steps()],
    )
    trainer.train()


def bare(folder: Path, part: str, turns: Turns, steps: int) -> None:
    """A plain PyTorch loop: rows grouped by length, the head at labels alone, nothing else."""
    import torch
    from peft import get_peft_model
    from torch.nn import functional

    from lora_tui.worker import loading
    from lora_tui.worker.lora import lora_config
    from lora_tui.worker.row_order import RowOrder
    from lora_tui.worker.token_table import lengths_of

    tokenizer, table = table_of(folder, part, folder / f"bare-{os.getpid()}")
    profile = profile_of(part, steps, False)
    torch.manual_seed(SEED)
    wrapped = get_peft_model(loading.load_model(str(folder / "base"), bf16=False, device="cpu"), lora_config(profile))
    wrapped.train()
    model = wrapped.get_base_model()
    weights = [weight for weight in wrapped.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=2e-4, weight_decay=profile.training.weight_decay, fused=True)
    columns = (table["input_ids"][:], table["labels"][:])
    order = RowOrder("group_by_length", lengths_of(table), BATCH[part], SEED)
    epoch = 0
    places: list[int] = []
    for _ in range(steps):
        turns.before()
        if not places:
            order.set_epoch(epoch)
            places, epoch = list(order), epoch + 1
        now, places = places[: BATCH[part]], places[BATCH[part] :]
        ids, labels = ([torch.tensor(column[place]) for place in now] for column in columns)
        sizes = torch.tensor([len(row) for row in ids])
        given = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True, padding_value=tokenizer.pad_token_id)
        wanted = torch.nn.utils.rnn.pad_sequence(labels, batch_first=True, padding_value=-100)[:, 1:]
        mask = (torch.arange(given.shape[1])[None] < sizes[:, None]).long()
        hidden = model.model(input_ids=given, attention_mask=mask, use_cache=False).last_hidden_state[:, :-1]
        marked = wanted != -100
        loss = functional.cross_entropy(model.lm_head(hidden[marked]).float(), wanted[marked])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        turns.after(float(loss.detach()), int(marked.sum()))


def case(name: str, part: str, folder: Path, steps: int, per_block: int, threads: int) -> None:
    """One case, in this process."""
    import torch

    torch.set_num_threads(threads)
    from lora_tui.worker import train as room

    room.choose_threads = lambda *given, **named: threads  # the benchmark says how many
    turns = Turns(per_block, WARM_UP if part == "tiny" else 0)
    told = [0.0]
    match name:
        case "ours, silent":
            silence()
            ours(folder, part, turns, steps, False)
        case "ours, clocked":
            told = clock()
            ours(folder, part, turns, steps, False)
        case "ours" | "ours bf16":
            ours(folder, part, turns, steps, name.endswith("bf16"))
        case "ours, packed":
            ours(folder, part, turns, steps, False, packing=True)
        case "bare":
            bare(folder, part, turns, steps)
        case _:
            shipped = "as shipped" in name
            kind = {"shipped": shipped and "fp32" not in name, "checkpointing": shipped}
            trl(folder, part, turns, steps, **kind, given="our batches" in name)
    say({"peak": peak_bytes(), "told": told[0]})


# The driver


class Case:
    """A case's process, and what it said."""

    def __init__(self, name: str, part: str, scratch: Path, steps: int, per_block: int, threads: int) -> None:
        self.name = name
        self.blocks: list[dict[str, Any]] = []
        self.peak = 0
        self.told = 0.0  # CPU seconds of telling, where it was clocked
        self._log = (scratch / f"{part}-{name.replace(' ', '-')}.log").open("w")
        words = [name, part, str(scratch / part), str(steps), str(per_block), str(threads)]
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--case", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env=os.environ
            | {"OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"},
        )

    def begun(self) -> None:
        """Wait until it is before its first step."""
        self._expect("ready")

    def _expect(self, key: str) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} ended early; its words are in {self._log.name}")
        word: dict[str, Any] = json.loads(line)
        assert key in word, word
        return word

    def block(self, *, last: bool) -> None:
        """Make a block of steps."""
        assert self._process.stdin
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        self.blocks.append(self._expect("cpu"))
        if last:
            word = self._expect("peak")
            self.peak, self.told = word["peak"], word["told"]
            self._process.wait()
        else:
            self._expect("ready")

    @property
    def losses(self) -> list[float]:
        """Of every step."""
        return [loss for block in self.blocks for loss in block["losses"]]

    @property
    def rate(self) -> float:
        """Trained-on tokens per CPU second, of all blocks together."""
        return float(sum(block["tokens"] for block in self.blocks) / sum(block["cpu"] for block in self.blocks))

    @property
    def rates(self) -> list[float]:
        """Trained-on tokens per CPU second, of every block."""
        return [block["tokens"] / block["cpu"] for block in self.blocks]


def race(part: str, names: list[str], scratch: Path, blocks: int, per_block: int, threads: int) -> dict[str, Case]:
    """All cases, block by block in turn."""
    cases = {name: Case(name, part, scratch, blocks * per_block, per_block, threads) for name in names}
    for one in cases.values():
        one.begun()
    for number in range(blocks):
        for one in cases.values():
            one.block(last=number == blocks - 1)
            print(f"  {one.name}, block {number + 1}: {one.rates[-1]:,.1f} tokens/CPU s", file=sys.stderr, flush=True)
    return cases


def ratio(one: Case, other: Case) -> float:
    """How much faster: median over the blocks made in turn."""
    return statistics.median(ours / theirs for ours, theirs in zip(one.rates, other.rates, strict=True))


def same_losses(one: Case, other: Case, limit: float = 1e-3) -> float:
    """The largest difference of two loss curves on the same batches. Fails above the limit."""
    worst = max(abs(left - right) for left, right in zip(one.losses, other.losses, strict=True))
    assert worst <= limit, f"{one.name} and {other.name} differ by {worst:.2e} in a step's loss"
    return worst


def table(cases: dict[str, Case], against: str, mark: str) -> None:
    """Rates and peaks side by side."""
    print(f"{mark:<34} {'tokens/CPU s':>13} {'of ' + against:>18} {'peak MiB':>9} {'of all blocks':>13}")
    for one in cases.values():
        times = ratio(one, cases[against])
        peak = f"{one.peak >> 20:,}"
        print(f"{one.name:<34} {statistics.median(one.rates):>13,.1f} {times:>17.2f}x {peak:>9} {one.rate:>13,.1f}")


def tokenise(folder: Path, rounds: int) -> None:
    """Rows per CPU second of both preparations in turn, and whether they give the same."""
    import torch
    from datasets import Dataset
    from transformers import AutoConfig, AutoModelForCausalLM
    from trl import SFTConfig, SFTTrainer

    from lora_tui.worker import loading
    from lora_tui.worker.rows import read_rows
    from lora_tui.worker.tokenize import Tokens, tokenize

    tokenizer = loading.load_tokenizer(str(folder / "base"))
    config = AutoConfig.from_pretrained(folder / "base")
    config.num_hidden_layers = 1
    model = AutoModelForCausalLM.from_config(config)
    lines = [json.loads(line) for line in (folder / "dataset" / "train.jsonl").read_text().splitlines()]
    spent: dict[str, list[float]] = {"TRL": [], "ours": []}
    for number in range(rounds):
        begun = time.process_time()
        found = [
            item
            for item in tokenize(tokenizer, read_rows(folder / "dataset", "train"), "train", 100_000)
            if isinstance(item, Tokens)
        ]
        spent["ours"].append(time.process_time() - begun)
        # a column that differs makes `datasets` compute it anew and not take its last result from its cache
        data = Dataset.from_list([{"messages": line["messages"], "round": number} for line in lines])
        begun = time.process_time()
        theirs = SFTTrainer(
            model=model,
            args=SFTConfig(
                output_dir=str(folder / "prepared"),
                assistant_only_loss=True,
                max_length=None,
                use_cpu=True,
                bf16=False,
                report_to="none",
                seed=number,
            ),
            train_dataset=data,
            processing_class=tokenizer,
        ).train_dataset
        spent["TRL"].append(time.process_time() - begun)
        assert [row.input_ids for row in found] == [list(ids) for ids in theirs["input_ids"]], "other ids"
        assert [row.labels for row in found] == [list(labels) for labels in theirs["labels"]], "other labels"
    del torch
    times = statistics.median(theirs / ours for theirs, ours in zip(spent["TRL"], spent["ours"], strict=True))
    for name, seconds in spent.items():
        print(f"{name:<34} {len(lines) / statistics.median(seconds):>13,.0f} rows/CPU s")
    print(f"ours: {times:.2f} times TRL's preparation (limit 4), {len(lines)} of {len(lines)} rows identical")


def telling(folder: Path, pairs: int) -> None:
    """What the journal and the watch of the machine cost, as a difference of whole runs and on their own clock."""
    names = ["ours", "ours, silent", "ours, clocked"]
    cases = race("tiny", names, folder.parent, pairs, 20, 1)
    table(cases, "ours, silent", "telling, one thread")
    clocked = cases["ours, clocked"]
    share = clocked.told / sum(block["cpu"] for block in clocked.blocks)
    print(f"inside the callbacks, the journal and the watch: {share:.2%} of the steps' CPU (limit 0.5 %)")


def silence() -> None:
    """A worker that tells nobody and watches nothing."""
    from lora_tui.jobs import journal
    from lora_tui.worker.callbacks.telling import Telling
    from lora_tui.worker.hardware import HardwareWatch

    journal.Journal.write = lambda self, event: None  # type: ignore[method-assign,assignment]
    HardwareWatch._watch = lambda self: None  # type: ignore[method-assign]
    for name in ("on_step_begin", "on_step_end", "on_log", "on_save"):
        if name in vars(Telling):
            setattr(Telling, name, lambda self, *given, **named: None)


def clock() -> list[float]:
    """Let everything that tells take its own time; the sum of CPU seconds is in the list."""
    from lora_tui.worker.callbacks import controls, telling
    from lora_tui.worker.hardware import HardwareWatch

    total = [0.0]

    def timed(what: Any) -> Any:
        def inner(*given: Any, **named: Any) -> Any:
            begun = time.thread_time()
            try:
                return what(*given, **named)
            finally:
                total[0] += time.thread_time() - begun

        return inner

    for kind in (telling.Telling, controls.Controls):
        for name in ("on_step_begin", "on_step_end", "on_log"):
            if name in vars(kind):
                setattr(kind, name, timed(vars(kind)[name]))
    HardwareWatch._watch = timed(HardwareWatch._watch)  # type: ignore[method-assign]
    return total


def chart(cases: list[Case], width: int = 60, height: int = 10) -> None:
    """Loss curves of the cases in one picture."""
    every = [loss for one in cases for loss in one.losses]
    low, high = min(every), max(every)
    lines = [[" "] * width for _ in range(height)]
    for one, sign in zip(cases, "oxt+", strict=False):
        for place, loss in enumerate(one.losses):
            column = place * (width - 1) // max(1, len(one.losses) - 1)
            line = round((high - loss) / max(1e-9, high - low) * (height - 1))
            lines[line][column] = sign if lines[line][column] in (" ", sign) else "*"
    for number, line in enumerate(lines):
        print(f"{high - (high - low) * number / (height - 1):>8.3f} |{''.join(line)}")
    signs = ", ".join(f"{sign} {one.name}" for one, sign in zip(cases, "oxt+", strict=False))
    print(f"{'':>8}  {signs}; * both")


NAMES = {
    "tiny": ("TRL as shipped", "TRL fp32", "TRL fp32, our batches", "bare", "ours", "ours, packed"),
    "half": ("TRL as shipped", "TRL fp32, our batches", "ours", "ours bf16"),
}


def compare(part: str, given: argparse.Namespace, threads: int) -> list[str]:
    """A part with so many threads; what it did not reach."""
    names = given.only or NAMES[part]
    per_block = given.steps or (30 if part == "tiny" else 1)
    cases = race(part, list(names), given.scratch, given.blocks, per_block, threads)
    first = next(iter(cases))
    table(cases, first, f"{part}, {threads} threads" if threads > 1 else f"{part}, one thread")
    missed = []
    alike = [cases[name] for name in ("ours", "bare", "TRL fp32, our batches") if name in cases]
    for other in alike[1:]:
        worst = same_losses(alike[0], other)
        print(f"losses of {alike[0].name} and {other.name}: {worst:.1e} apart at most")
    if len(alike) > 1:
        chart([alike[0], alike[-1]])
    limits = {
        "tiny": (("ours", "TRL as shipped", 6.0), ("ours", "bare", 0.95)),
        "half": (("ours", "TRL as shipped", 3.0), ("ours bf16", "TRL as shipped", 4.0)),
    }
    for one, other, limit in limits[part]:
        if one in cases and other in cases:
            # of all steps, which see the same rows, where each case makes batches of its own and a block is few of them
            times = cases[one].rate / cases[other].rate if part == "half" else ratio(cases[one], cases[other])
            print(f"{one}: {times:.2f} times {other} (limit {limit:g})")
            if times < limit:
                missed.append(f"{part}, {threads} threads: {one} is {times:.2f} times {other}, not {limit:g}")
    if "ours" in cases and "TRL as shipped" in cases and cases["ours"].peak > cases["TRL as shipped"].peak:
        missed.append(f"{part}, {threads} threads: our memory is higher than TRL's")
    return missed


def main() -> None:
    """Parse, race, print. Ends with 1 where a limit is not kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", action="append", choices=("tiny", "half", "tokenise", "telling"))
    parser.add_argument("--threads", action="append", help="1, or all")
    parser.add_argument("--blocks", type=int, default=5, help="pairs")
    parser.add_argument("--steps", type=int, default=0, help="of a block; 30 of the tiny model, 1 of the other")
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()) / "lora-tui-train")
    parser.add_argument("--longest", type=int, default=0, help="leave out rows of more tokens, where time is short")
    parser.add_argument("--only", action="append", help="these cases alone")
    given = parser.parse_args()
    missed: list[str] = []
    for part in given.part or ("tiny", "half", "tokenise", "telling"):
        prepare(given.scratch, "half" if part == "half" else "tiny", given.longest, given.blocks * (given.steps or 1))
        if part == "tokenise":
            tokenise(given.scratch / "tiny", given.blocks)
        elif part == "telling":
            telling(given.scratch / "tiny", given.blocks)
        else:
            for word in given.threads or ("1", "all"):
                missed += compare(part, given, (os.cpu_count() or 1) if word == "all" else int(word))
    for words in missed:
        print(f"NOT KEPT: {words}")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--case"]:
        WIRE = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)  # what a library prints must not end up between the lines
        case(sys.argv[2], sys.argv[3], Path(sys.argv[4]), *(int(word) for word in sys.argv[5:8]))
    else:
        main()
