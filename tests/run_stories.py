"""Runs as tests tell them: a run folder with a real journal, and, where wanted, a real process that it names."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec

from lora_tui.adapters import registry
from lora_tui.adapters.checksums import CHECKSUMS
from lora_tui.adapters.metadata import METADATA
from lora_tui.backends import audits, measure
from lora_tui.curation.suites import fingerprints, texts
from lora_tui.dataset import versions
from lora_tui.dataset.model import Count, Dataset, Manifest, Row, RowMessage
from lora_tui.jobs import audit, journal, measured
from lora_tui.jobs.job import Job, JobFile, Sweep, Train, Trial, Verify
from lora_tui.jobs.supervisor import Process, Run
from lora_tui.verify.reports import files as report_files
from lora_tui.verify.reports.concluding import Heard, conclude
from lora_tui.verify.suites.suite import read_suite
from lora_tui.workspace import toml
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Data, Lora, Model, Profile, Training, Verification

NOW = 1_790_000_000.0  # when the stories are told
_HASH = "9f2c" * 16
PROFILE = Profile(
    name="tiny",
    description="Rust on a tiny base",
    model=Model(base="demo"),
    data=Data(languages=("rust",), target=40),
    training=Training(num_train_epochs=16.0),
    verification=Verification(suite="five"),
)


def write_profile(workspace: Workspace, profile: Profile = PROFILE) -> Profile:
    """A profile of the person's own; it wins over a shipped one of the same name."""
    workspace.profiles.mkdir(parents=True, exist_ok=True)
    (workspace.profiles / f"{profile.name}.toml").write_text(toml.dump(profile))
    return profile


def write_suite(workspace: Workspace, prompts: Iterable[str], name: str = "five") -> Path:
    """A suite that expects `fn ` and a code block of every answer."""
    folder = workspace.profiles / "suites"
    folder.mkdir(parents=True, exist_ok=True)
    lines = ['prompts: ["{{prompt}}"]', "defaultTest:", "  assert:", '    - {type: contains, value: "fn "}']
    lines += ['    - {type: contains, value: "```rust"}', "tests:"]
    for prompt in prompts:
        lines += [f"  - description: {prompt}", f"    vars: {{prompt: {prompt} in Rust}}"]
    path = folder / f"{name}.yaml"
    path.write_text("\n".join(lines) + "\n")
    return path


def write_dataset(workspace: Workspace, name: str = "rust", version: int = 1, rows: int = 31) -> Dataset:
    """A dataset version with rows of one question and one answer."""
    folder = workspace.datasets / name / str(version)
    folder.mkdir(parents=True)
    row = Row(
        id="5c1f",
        messages=[
            RowMessage(role="user", content="Write a function that adds two numbers."),
            RowMessage(role="assistant", content="Here:\n\n```rust\nfn add(a: i32, b: i32) -> i32 { a + b }\n```"),
        ],
        language="rust",
        source="opencode",
        session="ses_1",
        model="lab/model",
    )
    told = [row, *(msgspec.structs.replace(row, id=f"5c1f{number:02}") for number in range(1, rows + 2))]
    lines = [msgspec.json.encode(one) + b"\n" for one in told]
    (folder / "train.jsonl").write_bytes(b"".join(lines[:rows]))
    (folder / "validation.jsonl").write_bytes(lines[rows])
    (folder / "test.jsonl").write_bytes(lines[rows + 1])
    manifest = Manifest(
        name=name,
        version=version,
        created=NOW - 7200,
        hash=_HASH,
        seed=42,
        split=(80, 10, 10),
        split_rule="whole session trees, hashed with the seed",
        rows={"train": rows, "validation": 4, "test": 4},
        recipe=Data(languages=("rust",)),
        counts=(Count("rust", "opencode", rows, 4, 4),),
        by_model={"lab/model": rows + 8},
        left_out={"label: reject": 6, "same content twice": 2},
        files={},
        suites=fingerprints(texts(workspace)),
        profile="tiny",
    )
    (folder / "manifest.toml").write_text(toml.dump(manifest))
    return Dataset(folder=folder, manifest=manifest)


def write_run(
    workspace: Workspace, identity: str, job: Job, title: str, events: Iterable[journal.AnyEvent] = ()
) -> Run:
    """A run folder whose journal holds these events, one second apart where they bear no time."""
    folder = workspace.runs / identity
    folder.mkdir(parents=True)
    file = JobFile(id=identity, title=title, created=NOW - 3600, workspace=str(workspace.root), job=job)
    (folder / "job.toml").write_text(toml.dump(file))
    writer = journal.Journal(folder / "journal.jsonl")
    for number, event in enumerate(events):
        writer.write(event if event.time else msgspec.structs.replace(event, time=NOW - 3600 + number))
    writer.close()
    return Run(folder=folder, file=file)


def train_job(workspace: Workspace, profile: Profile = PROFILE, dataset: str = "rust@1") -> Train:
    """A training job."""
    folder = str(workspace.datasets / "rust" / "1")
    return Train(profile=profile, base=str(workspace.root / "demo" / "base"), dataset=folder, dataset_name=dataset)


def verify_job(workspace: Workspace, suite: Path) -> Verify:
    """A comparison of tiny@1.0.0 with its base."""
    base = f"base:{workspace.root / 'demo' / 'base'}"
    return Verify(suite=str(suite), baseline=base, tuned="adapter:tiny@1.0.0", report=str(workspace.reports))


def training(steps: int, total: int = 160, *, first: int = 1) -> list[journal.AnyEvent]:
    """What a run writes in its first `steps` steps: metrics, an evaluation and a checkpoint every 20."""
    events: list[journal.AnyEvent] = []
    for step in range(first, steps + 1):
        fall = 2.4 / (1 + step / 18) + 0.22 * ((step * 7919) % 17 / 17 - 0.5) / (1 + step / 40)
        events.append(
            journal.Metrics(
                step=step,
                epoch=step / 10,
                loss=fall + 0.3,
                learning_rate=3e-3 * (1 - step / (total + 1)),
                grad_norm=1.4 / (1 + step / 50),
                tokens=step * 812,
                tokens_per_second=2400.0 + (step * 131) % 90,
                step_seconds=0.34,
            )
        )
        if step % 20 == 0:
            events.append(journal.Evaluation(step=step, epoch=step / 10, eval_loss=2.3 / (1 + step / 20) + 0.45))
            events.append(journal.Checkpoint(step=step, path=f"checkpoints/checkpoint-{step}"))
            answer = "Here:\n\n```rust\nfn sum(items: &[i32]) -> i32 {\n    items.iter().sum()\n}\n```"
            events.append(journal.Sample(step=step, prompt="Give me a Rust function that sums a slice.", answer=answer))
    return events


STARTED = journal.Started(pid=4242, host="box", total_steps=160, device="cpu")
HARDWARE = journal.Hardware(
    cpu=71.0,
    ram_used=9 * 1024**3,
    ram_total=64 * 1024**3,
    gpus=(
        journal.Gpu(
            name="NVIDIA H200",
            memory_used=74 * 1024**3,
            memory_total=140 * 1024**3,
            utilization=97.0,
            temperature=64.0,
            power=601.0,
        ),
    ),
)


def living(run: Run, program: str = "import time; time.sleep(600)", *arguments: str) -> subprocess.Popen[bytes]:
    """Start a process that works on the run, as far as anybody can see; the caller ends it."""
    with (run.folder / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        command = [sys.executable, "-c", program, *arguments]
        child = subprocess.Popen(command, start_new_session=True, pass_fds=(lock.fileno(),))
    (run.folder / "process.toml").write_text(toml.dump(Process(pid=child.pid)))
    return child


def ended(run: Run) -> None:
    """Let the run have had a process that is gone."""
    (run.folder / "lock").touch()


def write_adapter(run: Run) -> None:
    """What a finished training run leaves behind, without real weights."""
    (run.folder / "adapter").mkdir()
    (run.folder / "adapter" / "adapter_config.json").write_text("{}")
    (run.folder / "adapter" / "adapter_model.safetensors").write_bytes(b"\0" * 64)


def registered(workspace: Workspace, run: Run) -> None:
    """Take the run's adapter into the registry, made when the stories are told."""
    (adapter,) = registry.register_finished(workspace)
    changed = msgspec.structs.replace(adapter.metadata, created=NOW - 1800, run=run.id)
    path = adapter.folder / METADATA
    path.chmod(0o644)
    path.write_text(toml.dump(changed))


def earlier_adapter(workspace: Workspace, label: str, lora: Lora) -> None:
    """A registered version, trained on rust@1 with the demo's base, whose run is gone."""
    name, _, number = label.partition("@")
    folder = workspace.adapters / name / number
    folder.mkdir(parents=True)
    made = registry.Metadata(
        name=name,
        version=number,
        created=NOW - 3600,
        base=str(workspace.root / "demo" / "base"),
        profile=name,
        dataset="rust@1",
        dataset_hash=_HASH,
        run=label,
        steps=40,
        r=lora.r,
        lora_alpha=lora.lora_alpha,
        lora=lora,
    )
    (folder / METADATA).write_text(toml.dump(made))
    (folder / CHECKSUMS).write_text("")


def answer(prompt: int, side: str, text: str) -> journal.Answer:
    """A complete answer, checked for `fn ` and a code block."""
    checks = tuple(
        journal.Check(expectation=f"contains {piece!r}", passed=piece in text) for piece in ("fn ", "```rust")
    )
    return journal.Answer(
        prompt=prompt, side=side, text=text, checks=checks, tokens=40, first_token_seconds=0.1, seconds=1.2
    )


CODE = "Here:\n\n```rust\nfn sum(items: &[i32]) -> i32 {\n    items.iter().sum()\n}\n```"
CHATTER = "I am a tiny model and I like to talk about the weather"
PROMPTS = ("sum of a slice", "read a file", "keep the even numbers", "reverse a string", "count words")


def compared() -> list[journal.AnyEvent]:
    """Five prompts answered by both: the fine-tune gains three, loses one, and fails one that the baseline fails."""
    events: list[journal.AnyEvent] = [journal.Started(pid=1, host="box", total_steps=10)]
    events += [answer(number, "baseline", CODE if number == 3 else CHATTER) for number in range(5)]
    events += [answer(number, "tuned", CHATTER if number in (3, 4) else CODE) for number in range(5)]
    return events


def write_comparison(workspace: Workspace, suite: Path, identity: str = "20260921-131010-verify-dddd") -> Run:
    """A finished comparison with its report."""
    job = verify_job(workspace, suite)
    events = compared()
    finished = journal.Finished(steps=10, seconds=9.0, output=identity)
    run = write_run(workspace, identity, job, "five: adapter:tiny@1.0.0 against base", [*events, finished])
    ended(run)
    sides = {"baseline": job.baseline, "tuned": job.tuned}
    made = conclude(identity, read_suite(suite), sides, Heard.of(events))
    report_files.write(msgspec.structs.replace(made, created=NOW - 600), workspace.reports / identity)
    return run


def write_base(workspace: Workspace) -> Path:
    """The folder of the demo's base, as far as anybody but the engine looks."""
    folder = workspace.root / "demo" / "base"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    return folder


def write_audit(
    workspace: Workspace,
    dataset: Dataset | None = None,
    profile: Profile = PROFILE,
    findings: tuple[audit.Finding, ...] = (),
) -> None:
    """rust@1 audited for a profile, whose base is measured, so that a plan and a run need no engine."""
    base = str(workspace.root / "demo" / "base")
    told = dataset or versions.find(workspace, "rust@1")
    job = audits.job(workspace, told, base, profile)
    bins = tuple(audit.Bin(up_to, rows) for up_to, rows in ((128, 3), (256, 11), (512, 12), (1024, 5)))
    counted = audit.Counted(
        rows=31, tokens=25_172, loss_tokens=12_034, longest=1_010, most_loss_tokens=480, lengths=bins, losses=bins
    )
    validation = audit.Counted(rows=4, tokens=3_100, loss_tokens=1_500, longest=900, most_loss_tokens=400)
    audit.save(
        Path(job.output),
        audit.Audited(
            dataset_hash=_HASH,
            base=base,
            tokenizer=job.tokenizer,
            max_length=job.max_length,
            splits={"train": counted, "validation": validation, "test": validation},
            rows={"train": 33, "validation": 4, "test": 4},
            left_out=(audit.LeftOut("5c1f", "train", "too_long", 2300), audit.LeftOut("77aa", "train", "no_loss", 120)),
            all_left_out={"train": 2},
            cut=(),
            findings=findings,
            packing=audit.Packing(padded=0.71, grouped=0.93, packed=0.98, packs=26),
            longest=2_300,
            vocabulary=4_096,
            hidden_size=256,
            layers=2,
            seconds=2.5,
            by_language={"rust": 12_034},
        ),
    )
    modules = (
        measured.Module("self_attn.q_proj", 2, 32_768),
        measured.Module("self_attn.v_proj", 2, 24_576),
        measured.Module("mlp.gate_proj", 2, 152_656),
    )
    sizes = measured.Measured(parameters=4_300_000, trainable=210_000, modules=modules)
    measured.save(measure.path(workspace, base, profile), sizes)


def write_finished(workspace: Workspace, identity: str = "20260921-101010-train-aaaa") -> Run:
    """A finished training run with its adapter, not registered yet."""
    finished = journal.Finished(steps=160, loss=0.55, eval_loss=0.7, seconds=61.0, output="adapter")
    events = [STARTED, *training(160), HARDWARE, finished]
    run = write_run(workspace, identity, train_job(workspace), "tiny on rust@1", events)
    ended(run)
    write_adapter(run)
    return run


def write_failed(workspace: Workspace) -> Run:
    """A run that ran out of memory."""
    failed = journal.Failed(reason="CUDA out of memory: 4.2 GiB wanted, 1.1 free", fix="Use a smaller batch.")
    job = train_job(workspace)
    events = [STARTED, *training(12), failed]
    run = write_run(workspace, "20260921-111010-train-bbbb", job, "build-rust on rust@1", events)
    ended(run)
    (run.folder / "stderr.log").write_text("Traceback (most recent call last):\n  \x1b[31mOutOfMemoryError\x1b[0m\n")
    return run


def write_live(workspace: Workspace, steps: int = 87) -> Run:
    """A run in the middle of its work; give it a process with `living`."""
    loading = [journal.Progress(stage="load the engine", done=0), STARTED]
    events = [*loading, journal.Progress(stage="load the base", done=0), *training(steps), HARDWARE]
    return write_run(workspace, "20260921-121010-train-cccc", train_job(workspace), "tiny on rust@1", until_now(events))


SWEEP = "20260921-101010-sweep-aaaa"


def write_sweep(workspace: Workspace) -> Run:
    """A sweep of three: one finished, one failed, one waits."""
    names = [f"{SWEEP.replace('sweep', 'train')}-0{number}" for number in (1, 2, 3)]
    rates = ("1e-4", "2e-4", "5e-4")
    finished = journal.Finished(steps=40, loss=0.9, eval_loss=1.2167, seconds=61.0, output="adapter")
    failed = journal.Failed(reason="the disk is full", fix="Make room.")
    stories: list[list[journal.AnyEvent]] = [
        [STARTED, *training(40, 40), finished],
        [STARTED, *training(3, 40), failed],
        [],
    ]
    job = msgspec.structs.replace(train_job(workspace), sweep=SWEEP)
    for name, rate, events in zip(names, rates, stories, strict=True):
        run = write_run(workspace, name, job, f"tiny on rust@1: lr={rate} r=8", events)
        if events:
            ended(run)
    trials = tuple(
        Trial(name, (f"training.learning_rate={rate}", "lora.r=8")) for name, rate in zip(names, rates, strict=True)
    )
    sweep = Sweep(profile="tiny", dataset_name="rust@1", by="eval_loss", trials=trials)
    told = [
        journal.Started(pid=4242, host="box", total_steps=3),
        journal.Tried(run=names[0], state="finished", eval_loss=1.2167),
        journal.Tried(run=names[1], state="failed", reason="the disk is full"),
        journal.Stopped(step=2),
    ]
    run = write_run(workspace, SWEEP, sweep, "sweep of 3: tiny on rust@1", told)
    ended(run)
    return run


def answered(step: int) -> list[journal.AnyEvent]:
    """What the model answers to two prompts of a suite at a step, better from step 40 and again from step 60 on."""
    code, expected = (CODE, True) if step >= 40 else (CHATTER, False)
    other = step >= 60
    return [
        journal.Sample(
            step=step,
            prompt="sum of a slice in Rust",
            answer=code,
            checks=(journal.Check("contains 'fn '", expected), journal.Check("contains '```rust'", expected)),
        ),
        journal.Sample(
            step=step,
            prompt="read a file in Rust",
            answer=CODE if other else "I read files every day",
            checks=(journal.Check("contains 'fn '", other, "" if other else "it is not there"),),
        ),
    ]


def everything(steps: int = 87) -> list[journal.AnyEvent]:
    """A run of which all is told: answers with checks, forgetting, a step that did not fit, a plateau, the machine."""
    events: list[journal.AnyEvent] = [STARTED, journal.General(step=0, loss=1.91, kl=0.0, rows=32)]
    for event in training(steps):
        if isinstance(event, journal.Sample):
            events += answered(event.step)
            events.append(
                journal.General(
                    step=event.step, loss=1.91 + event.step / 500, kl=event.step / 2000, rows=32, start=1.91
                )
            )
            continue
        if isinstance(event, journal.Checkpoint):
            event = msgspec.structs.replace(event, best=True)
        events.append(event)
        if isinstance(event, journal.Metrics) and event.step == 41:
            events.append(OUT_OF_MEMORY)
    events.append(PLATEAU)
    cores = tuple(float(12 * core % 101) for core in range(16))
    events.append(msgspec.structs.replace(HARDWARE, cores=cores, disk_free=212 << 30, process_rss=5 << 30))
    return events


OUT_OF_MEMORY = journal.OutOfMemory(
    step=42,
    per_device_train_batch_size=1,
    gradient_accumulation_steps=16,
    planned=61 << 30,
    reached=79 << 30,
    longest=8_150,
    rows=("5c1f07",),
)
PLATEAU = journal.Warned(
    message="the loss has not moved for 40 steps",
    advice="Raise training.learning_rate, or stop: it may have learnt what there is.",
    code="plateau",
    step=87,
)


def until_now(events: list[journal.AnyEvent]) -> list[journal.AnyEvent]:
    """These events a second apart, the last of them now."""
    return [msgspec.structs.replace(event, time=NOW - len(events) + number) for number, event in enumerate(events)]


def write_everything(workspace: Workspace, *more: journal.AnyEvent, steps: int = 87) -> Run:
    """`everything` as a run in the middle of its work, and then `more`; give it a process with `living`."""
    events = until_now([*everything(steps), *more])
    return write_run(workspace, "20260921-121010-train-eeee", train_job(workspace), "build-rust on rust@3", events)
