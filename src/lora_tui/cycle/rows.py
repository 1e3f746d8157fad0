"""The third step: the next version of the dataset, where it would hold something that production has not learned.

What was in test before stays in test (dataset/split): the versions of a name know each other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec

from lora_tui.adapters.lineage import lineage
from lora_tui.adapters.registry import Adapter
from lora_tui.curation import examples
from lora_tui.curation.examples import Filter
from lora_tui.cycle.earlier import tried, was_promoted
from lora_tui.cycle.ground import Ground, done, many, nothing
from lora_tui.dataset import stored, versions
from lora_tui.dataset.model import MEMBERS_FILE, Dataset, Member
from lora_tui.jobs.journal import CycleStep
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace

_decoder = msgspec.json.Decoder(Member)
_SHARES, _SEED = (80, 10, 10), 42  # of a first version; the next ones are split as the first


class _Same(Exception):
    """The rows are those of the newest version."""


def next_version(ground: Ground) -> CycleStep:
    """Make the next version, or take the newest where its rows would be the same. `made` is its label.

    There is nothing to do where no row of its train split is new to the version in production, or where an earlier
    cycle tried the same and its gates did not pass; `again` in the job overrides both.
    """
    accepted = len(examples.ids(ground.workspace, Filter(decision="accept", languages=ground.profile.data.languages)))
    if not accepted:
        which = " or ".join(ground.profile.data.languages) or "any language"
        return nothing("dataset", f"no accepted example of {which}: there is nothing to train on")
    newest = _newest(ground)
    found, is_new = _version(ground, newest)
    rows = ", ".join(f"{number:,} {split}" for split, number in found.manifest.rows.items())
    said = [f"{found.label}: {rows}" + ("" if is_new else "; no row is other than before")]
    if is_new and newest is not None:
        said.append(_kept_in_test(newest, found))
    said += _gone(ground, found)
    fresh = _fresh(ground, found)
    if ground.start is not None:
        said.append(f"{many(fresh, 'row')} to train on that {ground.start.label} has not seen")
    again = ground.job.again
    if not fresh and not again:
        return nothing("dataset", *said, "nothing new is accepted (--again trains all the same)", made=found.label)
    if not again and (before := tried(ground, found.label)) is not None:
        came = "taken back since" if was_promoted(before) else "not promoted"
        why = f"nothing new: {before.run.id} trained on just this and was {came} (--again tries once more)"
        return nothing("dataset", *said, why, made=found.label)
    return done("dataset", *said, *found.manifest.notes, made=found.label)


def _newest(ground: Ground) -> Dataset | None:
    try:
        return versions.find(ground.workspace, ground.dataset_name)
    except BadInput:
        return None


def _version(ground: Ground, newest: Dataset | None) -> tuple[Dataset, bool]:
    """The version to train on, and whether it was made now."""
    before = _rows(newest.folder) if newest is not None and newest.manifest.recipe == ground.profile.data else None

    def check(folder: Path) -> None:
        if before is not None and _rows(folder) == before:
            raise _Same

    try:
        made = versions.build(
            ground.workspace,
            ground.dataset_name,
            ground.profile.data,
            shares=newest.manifest.split if newest is not None else _SHARES,
            seed=newest.manifest.seed if newest is not None else _SEED,
            profile=ground.profile.name,
            progress=lambda at, of: ground.tell("dataset", at, of),
            check=check,
        )
    except _Same:
        assert newest is not None
        return newest, False
    return made, True


def _rows(folder: Path) -> Counter[str]:
    """The ids of all rows of a version in a folder, repetitions counted; in whatever split."""
    return Counter(member.id for member in _members(folder))


def _members(folder: Path) -> Iterator[Member]:
    return stored.lines(folder / MEMBERS_FILE, _decoder, "a member")


def train_ids(dataset: Dataset) -> frozenset[str]:
    """Ids of the rows that are trained on."""
    return frozenset(member.id for member in _members(dataset.folder) if member.split == "train")


def _fresh(ground: Ground, dataset: Dataset) -> int:
    """How many rows of train the start, and what it came from, has not seen."""
    return len(train_ids(dataset) - _seen(ground.workspace, ground.start))


def _gone(ground: Ground, dataset: Dataset) -> list[str]:
    here = frozenset(member.id for member in _members(dataset.folder))
    gone = len(_seen(ground.workspace, ground.start) - here)
    if not gone or ground.start is None:
        return []
    return [
        f"{many(gone, 'row')} that {ground.start.label} learned from are not in it (rejected or changed since, or over"
        " a limit of [data]): what goes on keeps what was learned of them; --fresh begins anew"
    ]


def _kept_in_test(newest: Dataset, found: Dataset) -> str:
    before = {member.id for member in _members(newest.folder) if member.split == "test"}
    here = {member.id: member.split for member in _members(found.folder)}
    kept = sum(here.get(identity) == "test" for identity in before)
    trained = sum(here.get(identity) in ("train", "validation") for identity in before)
    if trained:  # dataset/split never does it; a reader should not have to believe that
        return f"{many(trained, 'row')} of {newest.label}'s test are in train or validation now"
    return f"of {newest.label}'s test {kept} of {len(before)} are still accepted, and stay in test"


def _seen(workspace: Workspace, adapter: Adapter | None) -> frozenset[str]:
    """What an adapter and those it went on from were trained on, as far as their datasets are still there."""
    seen: frozenset[str] = frozenset()
    for item in lineage(workspace, adapter) if adapter is not None else ():
        if isinstance(item, Adapter) and (dataset := _dataset_of(workspace, item)) is not None:
            seen |= train_ids(dataset)
    return seen


def _dataset_of(workspace: Workspace, adapter: Adapter) -> Dataset | None:
    name, _, number = adapter.metadata.dataset.partition("@")
    try:
        return versions.opened(workspace.datasets / name / number) if number else None
    except BadInput:
        return None
