"""What would make a run fit: the batch, the rank, the length, quantisation or checkpointing, in that order."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from lora_tui.jobs.audit import Audited
from lora_tui.workspace.profiles import Profile
from lora_tui.workspace.profiles.settings import with_settings

MARGIN = 0.95  # of what is free: an estimate is no promise
_SMALLEST_RANK = 4
_SMALLEST_LENGTH = 512

Needs = Callable[[Profile], int]  # bytes of a run of a profile


class Change(msgspec.Struct, frozen=True):
    """One thing that a profile could have otherwise; `settings` as `--set` takes them."""

    what: str  # batch, rank, length, quantisation, checkpointing
    settings: tuple[str, ...]
    needed: int  # bytes with this change alone, or for `steps` with those before it
    fits: bool
    costs: str  # what is given up


def alone(profile: Profile, audited: Audited, available: int, needs: Needs, *, gpu: bool) -> tuple[Change, ...]:
    """For each of the five the mildest value that makes it fit by itself, else the strongest there is."""
    found = []
    for ladder in _ladders(profile, audited, gpu=gpu):
        rung = None
        for what, settings, costs in ladder:
            needed = needs(with_settings(profile, settings))
            rung = Change(what, settings, needed, needed <= available * MARGIN, costs)
            if rung.fits:
                break
        if rung is not None:
            found.append(rung)
    return tuple(found)


def steps(profile: Profile, audited: Audited, available: int, needs: Needs, *, gpu: bool) -> tuple[Change, ...]:
    """The changes that make it fit: the first that does so alone, else one after another until it does.

    Empty when it fits as it is. The last one does not `fit` when nothing helps.
    """
    if needs(profile) <= available * MARGIN:
        return ()
    single = alone(profile, audited, available, needs, gpu=gpu)
    if enough := [change for change in single if change.fits]:
        return (enough[0],)
    taken: list[Change] = []
    now = profile
    for change in single:
        further = alone(now, audited, available, needs, gpu=gpu)
        rung = next((item for item in further if item.what == change.what), None)
        if rung is None or rung.needed >= needs(now):
            continue
        taken.append(rung)
        now = with_settings(now, rung.settings)
        if rung.fits:
            break
    return tuple(taken)


def settings_of(changes: tuple[Change, ...]) -> tuple[str, ...]:
    """All their settings, the last word on each key."""
    last: dict[str, str] = {}
    for setting in (setting for change in changes for setting in change.settings):
        last[setting.partition("=")[0]] = setting
    return tuple(last.values())


Rung = tuple[str, tuple[str, ...], str]


def _ladders(profile: Profile, audited: Audited, *, gpu: bool) -> Iterator[list[Rung]]:
    """Each kind of change from mild to strong."""
    yield _batch(profile)
    yield _rank(profile)
    yield _length(profile, audited)
    yield _quantisation(profile, gpu=gpu)
    yield _checkpointing(profile)


def _batch(profile: Profile) -> list[Rung]:
    training = profile.training
    rows, together = training.per_device_train_batch_size, training.gradient_accumulation_steps
    found: list[Rung] = []
    smaller = rows // 2
    while smaller:
        more = max(1, round(rows * together / smaller))
        settings = (
            f"training.per_device_train_batch_size={smaller}",
            f"training.gradient_accumulation_steps={more}",
        )
        found.append(("batch", settings, "nothing learned is lost: as many rows a step, a few at a time"))
        smaller //= 2
    return found


def _rank(profile: Profile) -> list[Rung]:
    found: list[Rung] = []
    r = profile.lora.r // 2
    while r >= _SMALLEST_RANK:
        alpha = max(1, round(profile.lora.lora_alpha * r / profile.lora.r))
        costs = "an adapter that can hold less; alpha follows, so that the scale stays"
        found.append(("rank", (f"lora.r={r}", f"lora.lora_alpha={alpha}"), costs))
        r //= 2
    return found


def _length(profile: Profile, audited: Audited) -> list[Rung]:
    found: list[Rung] = []
    length = (
        1 << (min(profile.training.max_length, audited.train.longest or profile.training.max_length) - 1).bit_length()
    )
    length //= 2
    while length >= _SMALLEST_LENGTH:
        above = sum(item.rows for item in audited.train.lengths if item.up_to > length)
        rows = "1 row is" if above == 1 else f"about {above:,} rows are"
        found.append(("length", (f"training.max_length={length}",), f"{rows} longer: split at turns, or left out"))
        length //= 2
    return found


def _quantisation(profile: Profile, *, gpu: bool) -> list[Rung]:
    if profile.model.load_in_4bit or not gpu:
        return []  # on a CPU it works and is many times slower
    found: list[Rung] = []
    if not profile.model.load_in_8bit:
        found.append(("quantisation", ("model.load_in_8bit=true",), "the base rounded to 8 bit; slower"))
    settings = ("model.load_in_4bit=true", "model.load_in_8bit=false")
    found.append(("quantisation", settings, "the base rounded to 4 bit (QLoRA); slower"))
    return found


def _checkpointing(profile: Profile) -> list[Rung]:
    if profile.training.gradient_checkpointing:
        return []
    return [("checkpointing", ("training.gradient_checkpointing=true",), "about a third more time")]
