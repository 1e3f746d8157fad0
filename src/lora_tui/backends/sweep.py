"""A sweep: the same training with a few settings changed, from a grid, a list, or drawn at random from a grid."""

from __future__ import annotations

import itertools
import random
import shlex
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from lora_tui.backends import audits, local, probe
from lora_tui.backends.amount import amount_of
from lora_tui.backends.counting import Tell, unheard
from lora_tui.backends.pace import pace
from lora_tui.backends.processes import ONE, Processes
from lora_tui.dataset.model import Dataset
from lora_tui.jobs import journal, supervisor
from lora_tui.jobs.duration import duration
from lora_tui.jobs.job import Prompt, Sweep, Train, Trial
from lora_tui.jobs.supervisor import Run
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Profile

By = Literal["eval_loss", "pass_rate"]
SHORT = {
    "lr": "training.learning_rate",
    "epochs": "training.num_train_epochs",
    "steps": "training.max_steps",
    "batch": "training.per_device_train_batch_size",
    "accumulation": "training.gradient_accumulation_steps",
    "warmup": "training.warmup_ratio",
    "decay": "training.weight_decay",
    "schedule": "training.lr_scheduler_type",
    "optim": "training.optim",
    "length": "training.max_length",
    "seed": "training.seed",
    "r": "lora.r",
    "alpha": "lora.lora_alpha",
    "dropout": "lora.lora_dropout",
    "targets": "lora.target_modules",
    "rslora": "lora.use_rslora",
    "dora": "lora.use_dora",
}
MOST = 64
Settings = tuple[str, ...]
Recipe = Callable[[Settings], Profile]  # the profile with these settings over it


class Prepared(msgspec.Struct, frozen=True):
    """One run as it would be."""

    settings: Settings
    job: Train
    warnings: tuple[journal.Warned, ...]
    steps: int
    seconds: tuple[float, float] | None = None  # as a plan says, from the fastest to the slowest; None: unknown


def grid(axes: Sequence[str]) -> list[Settings]:
    """Every combination of axes like "lr=1e-4,2e-4"; the last one changes fastest. Raises BadInput."""
    parsed = [_axis(text) for text in axes]
    keys = [key for key, _ in parsed]
    if twice := next((key for key in keys if keys.count(key) > 1), None):
        raise BadInput(f"{twice} is in the grid twice", where="--grid", fix=f"Write {twice}=A,B,C once.")
    return [
        tuple(f"{key}={value}" for key, value in zip(keys, values, strict=True))
        for values in itertools.product(*(values for _, values in parsed))
    ]


def listed(path: Path) -> list[Settings]:
    """The lines of a file, each with the settings of one run: `lr=1e-4 r=8`; `#` begins a remark. Raises BadInput."""
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"cannot read the list: {error}", where=str(path)) from error
    found = []
    for number, line in enumerate(lines, start=1):
        try:
            words = shlex.split(line, comments=True)
        except ValueError as error:
            raise BadInput(f"cannot read this line: {error}", where=f"{path}:{number}") from error
        for word in words:
            if "=" not in word:
                raise BadInput(f"not a setting: {word!r}", where=f"{path}:{number}", fix="Write KEY=VALUE KEY=VALUE.")
        if words:
            found.append(tuple(_full(*word.split("=", 1)) for word in words))
    return found


def drawn(every: Sequence[Settings], number: int, seed: int) -> list[Settings]:
    """`number` different ones of a grid, the same for the same seed, in the grid's order."""
    if number >= len(every):
        return list(every)
    return [every[index] for index in sorted(random.Random(seed).sample(range(len(every)), number))]


def _axis(text: str) -> tuple[str, list[str]]:
    key, equals, values = text.partition("=")
    found = [value for value in _parts(values) if value]
    if not equals or not key.strip() or not found:
        raise BadInput(f"not an axis: {text!r}", where="--grid", fix="Write KEY=A,B,C, for example lr=1e-4,2e-4.")
    if len(set(found)) < len(found):
        raise BadInput(f"a value stands twice in {text!r}", where="--grid")
    return SHORT.get(key.strip(), key.strip()), found


def _full(key: str, value: str) -> str:
    return f"{SHORT.get(key, key)}={value}"


def _parts(text: str) -> list[str]:
    """What stands between the commas, those in brackets and quotes aside."""
    parts, depth, quote = [""], 0, ""
    for char in text:
        if char == "," and not depth and not quote:
            parts.append("")
            continue
        parts[-1] += char
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        else:
            depth += (char in "[{(") - (char in "]})")
    return [part.strip() for part in parts]


def prepared(
    workspace: Workspace,
    recipe: Recipe,
    dataset: Dataset,
    settings: Sequence[Settings],
    *,
    by: By = "eval_loss",
    prompts: Callable[[Profile], Sequence[Prompt]] = lambda profile: (),
    processes: Processes = ONE,
    allow: Collection[str] = (),
    progress: Tell = unheard,
    cancelled: Callable[[], bool] = lambda: False,
) -> list[Prepared]:
    """What every run would do. The dataset is audited once for all that have the same base and max_length.

    prompts: of the suite, which are answered at every evaluation; all of them where the pass rate decides.
    Raises BadInput for a setting that is not good, for nothing or too much to do, and where nothing could be compared.
    """
    if not settings:
        raise BadInput("there is nothing to try", fix="Give --grid KEY=A,B,C, or --list FILE.")
    if len(settings) > MOST:
        raise BadInput(
            f"{len(settings)} runs are too many: the most is {MOST}", fix="Try fewer values, or some with --random N."
        )
    if not dataset.manifest.rows.get("validation"):
        raise BadInput(
            "the dataset has no validation rows, by which runs could be compared",
            where=dataset.label,
            fix="Build it with a validation split.",
        )
    found = []
    for one in settings:
        profile = recipe(one)
        asked = tuple(prompts(profile))
        if by == "pass_rate" and not any(prompt.expectations for prompt in asked):
            raise BadInput(
                "no answer's text decides a prompt of the profile's suite: its code is not tried while it trains"
                if asked
                else "the profile names no suite, whose pass rate could decide",
                where=f"profile {profile.name}",
                fix="Set verification.suite, or compare by eval_loss.",
            )
        job, warnings = local.prepared(
            workspace,
            profile,
            dataset,
            asked,
            processes=processes,
            allow=allow,
            progress=progress,
            cancelled=cancelled,
        )
        audited = audits.ensure(workspace, dataset, job.base, profile)  # there already
        amount = amount_of(profile, audited)
        going = pace(workspace, job.base, profile, probe.remembered(workspace, job.base, profile, dataset))
        seconds = (amount.tokens / going.fast, amount.tokens / going.slow) if going else None
        found.append(Prepared(one, job, tuple(warnings), amount.steps, seconds))
    return found


def start(workspace: Workspace, runs: Sequence[Prepared], by: By) -> Run:
    """Create the runs and their sweep, and start it; it goes on by itself."""
    first = runs[0].job
    identity = supervisor.new_identity("sweep")
    names = [f"{identity.replace('sweep', 'train')}-{number:02}" for number in range(1, len(runs) + 1)]
    for name, one in zip(names, runs, strict=True):
        title = f"{first.profile.name} on {first.dataset_name}: {short(one.settings)}"
        one_of_it = msgspec.structs.replace(one.job, sweep=identity)
        local.created(workspace, one_of_it, one.warnings, title=title, identity=name)
    job = Sweep(
        profile=first.profile.name,
        dataset_name=first.dataset_name,
        by=by,
        trials=tuple(Trial(run=name, settings=one.settings) for name, one in zip(names, runs, strict=True)),
    )
    title = f"sweep of {len(runs)}: {first.profile.name} on {first.dataset_name}"
    sweep = supervisor.create(workspace, job, title, identity=identity)
    supervisor.start(sweep)
    return sweep


def time_of(runs: Sequence[Prepared]) -> str:
    """How long all of them take together, in words."""
    known = [one.seconds for one in runs if one.seconds is not None]
    if len(known) < len(runs):
        return "not known before the first run"
    fast, slow = (duration(sum(times)) for times in zip(*known, strict=True))
    return fast if fast == slow else f"{fast} to {slow}"


_NAMES = {full: name for name, full in SHORT.items()}


def short(settings: Settings) -> str:
    """Settings in few words: lr=1e-4 r=8."""
    pairs = [setting.split("=", 1) for setting in settings]
    return " ".join(f"{_NAMES.get(key, key)}={value}" for key, value in pairs)
