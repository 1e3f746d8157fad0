"""Promoting a version and going back: what a name means changes in one moment, and nobody waits for it.

Checksums; loaded under its own name beside the old one; asked a few prompts; the alias in aliases.json; the name in the
routers' memory; the old version's last answers; the old version stays as standby. Whatever fails before the alias is
written leaves the old version serving; whatever fails after it is made good by the servers, which read the alias.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from lora_tui.adapters import aliases, registry
from lora_tui.adapters.locking import locked
from lora_tui.adapters.registry import Adapter
from lora_tui.adapters.serving import control, sets
from lora_tui.adapters.serving.changes import check_intact
from lora_tui.adapters.serving.routing import AUTO
from lora_tui.adapters.serving.sets import Served
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.layout import Workspace

Say = Callable[[str], None]
_DRAIN_SECONDS = 60.0  # that a promotion waits for the old version's last answers; they go on after it


class Promoted(msgspec.Struct, frozen=True):
    """What was done. `before`: the version the name meant; empty: none."""

    name: str
    version: str
    before: str
    sets: tuple[str, ...]  # that serve it
    drained: bool
    warnings: tuple[str, ...] = ()


def reasons_against(workspace: Workspace, item: Adapter) -> list[str]:
    """Why a version should not be promoted; `force` overrides them. Empty: nothing speaks against it."""
    return [
        f"it was trained on {item.metadata.base}, and {one.set.name} serves {one.set.base}"
        for one in sets.alive(workspace)
        if _serves(one, item.metadata.name) and not _is_same_base(item.metadata.base, one.set)
    ]


def check_bases(workspace: Workspace, wanted: sets.Set) -> None:
    """Raises BadInput where an adapter that is to be served is not there, or was trained on another base.

    Also where its name would mean something else too: the base, `auto`, another of its versions.
    """
    taken = {wanted.base_name: "the base is called so", AUTO: "it stands for the specialist of a request's language"}
    for text in wanted.adapters:
        item = registry.find(workspace, text)
        name = item.metadata.name
        if name in taken:
            fix = "Call the base otherwise with --base-name." if name == wanted.base_name else "Leave one out."
            raise BadInput(f"{name} cannot be served under its name: {taken[name]}", fix=fix)
        taken[name] = "it is named twice"
        if not _is_same_base(item.metadata.base, wanted):
            raise BadInput(
                f"{item.label} was trained on {item.metadata.base}, not on {wanted.base}",
                fix=f"lora-tui serve {item.metadata.base} --adapter {text}",
            )


def promote(
    workspace: Workspace,
    label: str,
    *,
    why: str = "",
    prompts: Sequence[str] = (),
    against: Sequence[str] = (),
    force: bool = False,
    instead_of: str | None = None,
    drain_seconds: float = _DRAIN_SECONDS,
    say: Say = lambda _: None,
) -> Promoted:
    """Make a version what its name means. Raises LoraTuiError, and then the old one serves on.

    Without a server only the alias moves, once the files are what their checksums say. `against`: what else speaks
    against it, which `force` overrides too. `instead_of`: the label that must be in production to the last moment,
    empty for none; nobody's promotion in between is undone.
    """
    item = registry.find(workspace, label)
    check_intact(item)
    reasons = (*reasons_against(workspace, item), *against)
    if reasons and not force:
        raise BadInput(f"{item.label} is not promoted: {'; '.join(reasons)}", fix="--force promotes it all the same.")
    return _go(workspace, item, why, prompts, True, force, drain_seconds, say, reasons, instead_of)


def rollback(
    workspace: Workspace,
    name: str,
    *,
    why: str = "",
    drain_seconds: float = _DRAIN_SECONDS,
    say: Say = lambda _: None,
) -> Promoted:
    """Make the version before this one what the name means again; done twice it is where it was.

    The servers still have it loaded: it answers from the next request on. Raises BadInput where there is none.
    """
    now = aliases.aliases(workspace).get(name, {}).get(aliases.PRODUCTION, "")
    if not now:
        raise BadInput(f"{name} was never promoted", fix=f"lora-tui promote {name}@VERSION")
    before = _before(workspace, name, now)
    if not before:
        raise BadInput(
            f"{name} has no version before {now}", fix="`lora-tui adapters history` shows what was promoted."
        )
    item = registry.find(workspace, before)
    check_intact(item)
    return _go(workspace, item, why or f"rollback from {now}", (), False, True, drain_seconds, say, ())


def _before(workspace: Workspace, name: str, now: str) -> str:
    """The version that was in production before the one that is; the standby where the history does not say."""
    for moved in aliases.history(workspace, name):
        if moved.alias == aliases.PRODUCTION and moved.version == now:
            if moved.previous:
                return moved.previous
            break
    return aliases.aliases(workspace).get(name, {}).get(aliases.STANDBY, "")


def _go(
    workspace: Workspace,
    item: Adapter,
    why: str,
    prompts: Sequence[str],
    ask: bool,
    force: bool,
    drain_seconds: float,
    say: Say,
    warnings: tuple[str, ...],
    instead_of: str | None = None,
) -> Promoted:
    name = item.metadata.name
    serving = [one for one in sets.alive(workspace) if _serves(one, name)]
    warned = list(warnings)
    try:
        for one in serving:
            found = control.ask(one, "prepare", label=item.label, prompts=list(prompts), ask=ask, say=say)
            if not found["effect"]:
                said = f"{item.label} loads without effect: it answers as the base does, word for word, to every prompt"
                if not force:
                    raise LoraTuiError(
                        said,
                        where=one.set.name,
                        fix="Give prompts it should answer otherwise with --prompt, or promote it with --force.",
                    )
                warned.append(said)
        before = _point(workspace, item, serving, why, instead_of)
    except LoraTuiError:
        for one in serving:
            with suppress(LoraTuiError):
                control.ask(one, "release", label=item.label)
        raise
    drained = True
    for one in serving:
        try:
            switched = control.ask(one, "switch", name=name, label=item.label, say=say)
            if switched["before"] != item.label and drain_seconds:
                drained &= bool(control.ask(one, "drain", label=switched["before"], wait=drain_seconds)["drained"])
        except LoraTuiError as error:  # it reads the alias when it is there again
            warned.append(f"{one.set.name}: {error}")
    return Promoted(name, item.label, before, tuple(one.set.name for one in serving), drained, tuple(warned))


def _point(workspace: Workspace, item: Adapter, serving: Sequence[Served], why: str, instead_of: str | None) -> str:
    """Write the alias; what it pointed to. Raises LoraTuiError where that is not `instead_of`."""
    name = item.metadata.name
    served_before = next((state.names.get(name, "") for one in serving if (state := one.state)), "")
    with locked(workspace):
        before = aliases.aliases(workspace).get(name, {}).get(aliases.PRODUCTION, "")
        if instead_of not in (None, before):
            raise LoraTuiError(f"{name} is {before or 'nothing'} by now, no longer {instead_of or 'nothing'}")
        standby = before if before not in ("", item.label) else served_before
        targets = {aliases.PRODUCTION: item.label}
        if standby and standby != item.label:
            targets[aliases.STANDBY] = standby
        aliases.move_locked(workspace, name, targets, why)
    return before


def _serves(one: Served, name: str) -> bool:
    return any(text.partition("@")[0] == name for text in one.set.adapters)


def _is_same_base(trained: str, wanted: sets.Set) -> bool:
    if trained in ("", wanted.base) or wanted.base.endswith(".gguf"):
        return True
    first, second = Path(trained).expanduser(), Path(wanted.base).expanduser()
    if first.exists() and second.exists():
        return first.resolve() == second.resolve()
    return first.name.lower() == second.name.lower()
