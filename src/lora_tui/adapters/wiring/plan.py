"""What `opencode apply` would change, before anything is touched."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from lora_tui.adapters.wiring import contents, edits, front_matter, neighbours
from lora_tui.adapters.wiring.edits import Edit, put
from lora_tui.adapters.wiring.jsonc import parse
from lora_tui.adapters.wiring.places import Place
from lora_tui.adapters.wiring.places import target as target_of
from lora_tui.adapters.wiring.record import Touched, before, digest, follow, newest, records
from lora_tui.adapters.wiring.wanted import (
    SCHEMA,
    Agent,
    Shape,
    Wanted,
    agent_block,
    agents_key,
    provider_block,
    providers_key,
    shape_of,
)
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.layout import Workspace


class Change(msgspec.Struct, frozen=True):
    """One file: what is there now, what will be, and what taking it back will leave. None: no such file."""

    touched: Touched
    current: bytes | None
    after: bytes | None
    before: bytes | None

    @property
    def is_one(self) -> bool:
        """Whether the file's bytes will be others."""
        return self.current != self.after


class Plan(msgspec.Struct, frozen=True):
    """The changes of one place's files, and what a person should know first."""

    place: Place
    changes: tuple[Change, ...]
    notes: tuple[str, ...] = ()


def make(
    workspace: Workspace, place: Place, wanted: Wanted, *, shape: Shape | None = None, replace: bool = False
) -> Plan:
    """Plan it. What an earlier apply wrote there is taken out first, so that taking back leads to the original.

    shape: None takes that of the file. replace: a provider of the same name that is not ours goes, and so do changes
    made by hand since. Raises BadInput for settings that cannot be read or changed.
    """
    return _Planner(workspace, place, wanted, shape, replace).plan()


class _Planner:
    def __init__(self, workspace: Workspace, place: Place, wanted: Wanted, shape: Shape | None, replace: bool) -> None:
        self.workspace = workspace
        self.wanted = wanted
        self.shape = shape
        self.replace = replace
        self.notes: list[str] = []
        follow(workspace, place)
        self.record = newest(workspace, place.name)
        if self.record is not None and self.record.config != str(place.config) and Path(self.record.config).is_file():
            place = msgspec.structs.replace(place, config=Path(self.record.config))
        self.place = place

    def plan(self) -> Plan:
        ours = {one.target for record in records(self.workspace) for one in record.files}
        self.notes += neighbours.notes(self.place, self.wanted, ours, replace=self.replace)
        changes = [self._settings()]
        if self.place.agents is not None:
            changes += [self._agent(self.place.agents, agent) for agent in self.wanted.agents]
        changes += self._no_longer_wanted(changes)
        for change in changes:
            if change.is_one:
                _writable(change.touched)
                self._say_of(change)
        return Plan(place=self.place, changes=tuple(changes), notes=tuple(self.notes))

    def _settings(self) -> Change:
        path = self.place.config
        target = target_of(path)
        current = contents.read(target)
        original, ours = self._original(path, target, current)
        text = contents.text_of(original, path) if original is not None else "{}\n"
        root = parse(text, path)
        if root is not None and root.kind != "object":
            raise BadInput("the settings are not an object", where=str(path))
        standing: list[Shape] = [
            one for one in ("v1", "v2") if edits.find(root, (providers_key(one), self.wanted.provider)) is not None
        ]
        shape = self.shape or (standing[-1] if standing else shape_of(root.plain if root is not None else None))
        if standing:
            neighbours.only_with_replace(self.wanted.provider, str(path), self.replace)
        if standing not in ([], [shape]):
            raise BadInput(
                f"there is a provider {self.wanted.provider!r} in the other shape too",
                where=str(path),
                fix="Remove it by hand, or take another name with --provider NAME.",
            )
        done: list[Edit] = []

        def change(more: tuple[str, list[Edit]]) -> None:
            nonlocal text
            text = more[0]
            done.extend(more[1])

        if edits.find(root, ("$schema",)) is None:
            change(put(text, ("$schema",), SCHEMA, first=True))
        if standing:
            change(put(text, (providers_key(shape), self.wanted.provider), None))
        block = provider_block(self.wanted, shape)
        change(put(text, (providers_key(shape), self.wanted.provider), block))
        enabled = edits.find(root, ("enabled_providers",))
        if enabled is not None and enabled.kind == "array":
            change(edits.add(text, ("enabled_providers",), self.wanted.provider))
        for agent in self.wanted.agents if self.place.agents is None else ():
            there = edits.find(root, (agents_key(shape), agent.name)) is not None
            value: Any = {"model": agent.model} if there else agent_block(agent, shape)
            change(put(text, (agents_key(shape), agent.name), value))
        after = contents.bytes_of(text, original)
        return Change(self._touched(path, "settings", original, after, ours, done), current, after, original)

    def _agent(self, folder: Path, agent: Agent) -> Change:
        other = folder.with_name("agents" if folder.name == "agent" else "agent") / f"{agent.name}.md"
        path = other if other.is_file() else folder / f"{agent.name}.md"
        target = target_of(path)
        current = contents.read(target)
        original, ours = self._original(path, target, current)
        done: list[Edit] = []
        if original is None:
            after = front_matter.agent_file(agent.description, agent.model, agent.prompt).encode()
        else:
            text = contents.text_of(original, path)
            was, model = front_matter.model_of(text), front_matter.scalar(agent.model)
            after = contents.bytes_of(front_matter.with_model(text, model), original)
            done = [Edit(("model",), model, was, existed=was is not None)]
            self.notes.append(f"{path} is yours: only its model is changed.")
        return Change(self._touched(path, "agent", original, after, ours, done), current, after, original)

    def _original(self, path: Path, target: Path, current: bytes | None) -> tuple[bytes | None, tuple[str, ...]]:
        """The file without what an earlier apply wrote, and the hashes of what that was."""
        touched = self.record.of(target) if self.record is not None else None
        if self.record is None or touched is None:
            return current, ()
        ours = (*touched.ours, touched.after)
        if digest(current) == touched.before:
            return current, ours
        if digest(current) in ours:
            return before(self.workspace, self.record, touched), ours
        back, others = contents.withdrawn(touched, current)
        if others and not self.replace:
            raise BadInput(
                f"changed by hand since it was written: {', '.join(others)}",
                where=str(path),
                fix="Change it back, or go on from the file as it is: --replace",
            )
        return (current if others else back), ours

    def _touched(
        self,
        path: Path,
        kind: Literal["settings", "agent"],
        original: bytes | None,
        after: bytes | None,
        ours: tuple[str, ...],
        done: Sequence[Edit] = (),
    ) -> Touched:
        target = target_of(path)
        earlier = self.record.of(target) if self.record is not None else None
        missing = [str(folder) for folder in reversed(target.parents) if not folder.is_dir()]
        made = earlier.folders if earlier is not None else ()
        return Touched(
            path=str(path),
            target=str(target),
            kind=kind,
            before=digest(original),
            after=digest(after),
            ours=ours,
            edits=tuple(done),
            folders=(*made, *(one for one in missing if one not in made)),
        )

    def _no_longer_wanted(self, changes: Sequence[Change]) -> list[Change]:
        """Files of the earlier apply that this one does not write: as they were."""
        known = {change.touched.target for change in changes}
        found = []
        for touched in self.record.files if self.record is not None else ():
            if touched.target not in known:
                path, target = Path(touched.path), Path(touched.target)
                current = contents.read(target)
                original, ours = self._original(path, target, current)
                made = self._touched(path, touched.kind, original, original, ours)
                found.append(Change(made, current, original, original))
        return found

    def _say_of(self, change: Change) -> None:
        path, target = Path(change.touched.path), Path(change.touched.target)
        if path.is_symlink():
            self.notes.append(f"{path} is a link: what it points to is changed, {target}.")
        if target.is_file() and not target.stat().st_mode & 0o200:
            self.notes.append(f"{target} is read-only: it is replaced all the same, and stays read-only.")


def _writable(touched: Touched) -> None:
    folder = next(one for one in Path(touched.target).parents if one.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise LoraTuiError(
            "the folder cannot be written to",
            where=str(folder),
            fix="Write elsewhere with --config PATH or --project, or put what `opencode diff` shows there yourself.",
        )
