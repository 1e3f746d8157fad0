"""The first two steps: what is new in the agents' histories, and what of it a rule of the profile accepts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import msgspec

from lora_tui.curation import examples, labels
from lora_tui.curation.examples import Filter
from lora_tui.cycle.ground import Ground, done, many, nothing
from lora_tui.jobs.journal import CycleStep
from lora_tui.sources.discover import source_of
from lora_tui.sources.ingest import ingest
from lora_tui.sources.registry import SOURCES, source
from lora_tui.workspace.errors import SourceError
from lora_tui.workspace.layout import Workspace

AUTHOR = "cycle"  # of the labels that a profile's rule sets
_BY_PEOPLE = """
SELECT DISTINCT example_id FROM label
WHERE action IN ('accept', 'reject', 'skip', 'flag', 'undo') AND NOT (action = 'accept' AND author = ?)
"""


def read_new(ground: Ground) -> CycleStep:
    """Read again what was read before, and the paths that were named; then make its examples.

    A history that cannot be read is said and stops nothing. Raises BadInput for a named path that none can read.
    """
    new = changed = 0
    said, failed = [], []
    for name, paths in _places(ground):
        try:
            read = ingest(ground.workspace, name, paths, lambda at, of, _: ground.tell("sessions", at, of))
        except SourceError as error:
            failed.append(f"not read: {error.what} ({error.where or name})")
            continue
        new, changed = new + read.new, changed + read.changed
        failed += [f"not read: {failure.what} ({failure.where})" for failure in read.failures]
        if read.quarantined:
            failed.append(f"{name}: {many(len(read.quarantined), 'row')} not understood and left out")
    made = examples.refresh(ground.workspace, lambda at, of: ground.tell("examples", at, of))
    said.append(f"{many(new, 'new session')}, {changed:,} changed, {many(made.examples, 'example')} new or changed")
    if not new and not changed and not failed and not _known(ground.workspace) and not ground.job.paths:
        said.append("no agent's history was read here yet: `lora-tui ingest` reads the first time")
    return (done if new or changed or made.examples else nothing)("ingest", *said, *failed)


def accept_by_rule(ground: Ground) -> CycleStep:
    """Accept what [cycle] of the profile says may be accepted without a person; without such a rule nothing is.

    What a person once decided about or flagged, or took the rule's own label from, is left to people, also where the
    example has changed since.
    """
    profile, workspace = ground.profile, ground.workspace
    rule = profile.cycle.accept_confidence
    waiting = Filter(decision="unlabelled", languages=profile.data.languages)
    data = profile.data
    sure = msgspec.structs.replace(
        waiting, min_confidence=rule, outcomes=data.outcomes, models=data.models, sources=data.sources
    )
    found: list[int] = []
    if rule:
        reason = f"profile {profile.name}: accept_confidence = {rule:g}"
        with workspace.transaction() as connection:  # nobody decides between the look and the label
            touched = {identity for (identity,) in connection.execute(_BY_PEOPLE, (AUTHOR,))}
            found = [identity for identity in examples.ids(workspace, sure) if identity not in touched]
            if found:
                labels.append(connection, found, [("accept", None)], labels.new_batch(), author=AUTHOR, reason=reason)
    left = len(examples.ids(workspace, waiting))
    which = " and ".join(profile.data.languages) or "any language"
    waits = f"{many(left, 'example')} of {which} not decided about"
    if not rule:
        why = "nothing is accepted without a person ([cycle] accept_confidence of the profile is 0)"
        return nothing("accept", f"{waits}; {why}")
    said = f"{many(len(found), 'example')} accepted by the profile's rule (language at least {rule:g} sure); {waits}"
    return (done if found else nothing)("accept", said)


def _places(ground: Ground) -> Iterator[tuple[str, list[Path]]]:
    """Each source with where it is read: where its program keeps it, then single places that were read before."""
    for name, origins in _known(ground.workspace).items():
        try:
            usual = [Path(store.where) for store in source(name).stores(())]
        except (SourceError, OSError):
            usual = []
        if any(_is_in(origin, usual) for origin in origins):
            yield name, []
        if elsewhere := [origin for origin in origins if not _is_in(origin, usual) and origin.exists()]:
            yield name, elsewhere
    for text in ground.job.paths:
        path = Path(text)
        yield source_of(path), [path]


def _known(workspace: Workspace) -> dict[str, list[Path]]:
    """The places from which sessions were read, by source."""
    found: dict[str, list[Path]] = defaultdict(list)
    rows = workspace.connection().execute("SELECT DISTINCT source, origin FROM session ORDER BY source, origin")
    for name, origin in rows:
        if name in SOURCES and origin:
            found[name].append(Path(origin))
    return found


def _is_in(path: Path, places: list[Path]) -> bool:
    return any(path == place or place in path.parents for place in places)
