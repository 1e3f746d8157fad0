"""How much there is to do, wherever it is done: tokens, passes over them, and the size of the base."""

from __future__ import annotations

import math

import msgspec

from lora_tui.backends import audits, bases, measure
from lora_tui.backends import shape as shapes
from lora_tui.backends.amount import amount_of
from lora_tui.backends.compare.prices import Formula
from lora_tui.backends.needs import Inside, inside
from lora_tui.backends.shape import Shape
from lora_tui.dataset.general import wanted
from lora_tui.dataset.model import Dataset
from lora_tui.jobs.audit import Audited, Counted
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Profile

_MIB = 1e6


class Tokens(msgspec.Struct, frozen=True):
    """Of one split, all of them and not only those that carry loss."""

    low: float = 0.0
    high: float = 0.0
    step: str = ""  # how it was reckoned


class Work(msgspec.Struct, frozen=True):
    """What a run of one profile on one dataset works through."""

    base: str
    train: Tokens
    validation: Tokens
    rows: int
    validation_rows: int
    passes: float  # over train
    replayed: float  # of every pass, what replay mixes in: a share of the rows, at most
    loss_tokens: float | None  # of the whole run; None: not counted
    parameters: float  # of the base; 0: unknown
    active: float  # of those, what one token is multiplied with
    source: str  # of the tokens
    audited: Audited | None
    known: Inside | None

    @property
    def tokens(self) -> tuple[float, float]:
        """Of all passes, fewest and most."""
        return self.train.low * self._times, self.train.high * self._times

    @property
    def _times(self) -> float:
        return self.passes * (1 + self.replayed)

    @property
    def steps(self) -> tuple[str, ...]:
        """The arithmetic of `tokens`."""
        low, high = self.tokens
        more = f" × {1 + self.replayed:g} with replay" if self.replayed else ""
        said = f"{_count(self.train)} × {self.passes:.4g} passes{more} = {amount(low, high)} tokens"
        return (self.train.step, said)


def work(workspace: Workspace, profile: Profile, dataset: Dataset, formula: Formula) -> Work:
    """From the audit where there is one for this base, else from the size of the files. Raises BadInput for a base."""
    base = bases.resolve(workspace, profile)
    exact = audits.cached(workspace, dataset, base, profile)
    audited = exact or next((item for item in audits.every(dataset) if item.base == base), None)
    sizes = measure.remembered(workspace, base, profile)
    known = inside(base, profile, audited, sizes) if audited else None
    shape = shapes.of_base(base) or (known.shape if known else None)
    if audited is not None:
        train, validation = audited.train, audited.splits.get("validation", Counted())
        source = f"audit of {dataset.label}"
        splits = _counted(train, "train"), _counted(validation, "validation")
        rows, validation_rows = train.rows, validation.rows
    else:
        source = "reckoned from the files' size"
        splits = _reckoned(dataset, "train", formula), _reckoned(dataset, "validation", formula)
        rows, validation_rows = (dataset.manifest.rows.get(name, 0) for name in ("train", "validation"))
    return Work(
        base=base,
        train=splits[0],
        validation=splits[1],
        rows=rows,
        validation_rows=validation_rows,
        passes=passes(profile, _packs(profile, audited, rows, splits[0])),
        replayed=_replayed(profile, rows),
        loss_tokens=amount_of(profile, audited).tokens if audited else None,
        parameters=float((sizes.parameters if sizes else 0) or (shape.parameters if shape else 0)),
        active=active(shape) if shape else 0.0,
        source=source,
        audited=audited,
        known=known,
    )


def passes(profile: Profile, packs: int) -> float:
    """How often every row is seen; `packs`: rows of a pass as steps count them, put together where they are packed."""
    training = profile.training
    if training.max_steps > 0 and packs:
        return training.max_steps * training.per_device_train_batch_size * training.gradient_accumulation_steps / packs
    return training.num_train_epochs


def _packs(profile: Profile, audited: Audited | None, rows: int, train: Tokens) -> int:
    if not profile.training.packing:
        return rows
    if audited is not None and audited.packing.packs:
        return audited.packing.packs
    return min(rows, math.ceil((train.low + train.high) / 2 / profile.training.max_length))


def _replayed(profile: Profile, rows: int) -> float:
    mixing = profile.forgetting.replay and profile.training.max_steps <= 0 and rows
    return wanted(rows, profile.forgetting.replay_share) / rows if mixing else 0.0


def active(shape: Shape) -> float:
    """Weights that one token is multiplied with: of a mixture's experts those it is sent to."""
    idle = 0.0
    for item in shape.linears:
        if item.experts:
            idle += item.weights * (1 - shape.experts_per_token / item.experts)
    return shape.parameters - idle


def _counted(split: Counted, name: str) -> Tokens:
    return Tokens(split.tokens, split.tokens, f"{name}: {split.tokens:,} tokens, counted by the audit")


def _reckoned(dataset: Dataset, name: str, formula: Formula) -> Tokens:
    path = dataset.folder / f"{name}.jsonl"
    size = path.stat().st_size if path.is_file() else 0
    middle, spread = size / formula.bytes_per_token, formula.bytes_per_token_spread
    said = (
        f"{name}: {size / _MIB:,.1f} MB / {formula.bytes_per_token:g} bytes a token ± {spread:.0%}"
        f" = {amount(middle * (1 - spread), middle * (1 + spread))} tokens"
    )
    return Tokens(middle * (1 - spread), middle * (1 + spread), said)


def _count(tokens: Tokens) -> str:
    return amount(tokens.low, tokens.high)


def amount(low: float, high: float) -> str:
    """Tokens or weights in short: "6.68M", "4,482 to 7,470", "7.62B"."""
    first, last = _short(low), _short(high)
    return first if first == last else f"{first} to {last}"


def _short(number: float) -> str:
    if number >= 1e9:
        return f"{number / 1e9:,.2f}B"
    if number >= 1e6:
        return f"{number / 1e6:,.2f}M"
    return f"{math.floor(number + 0.5):,}"
