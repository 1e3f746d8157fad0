"""The last two steps: what the adapter's name means, and what stands in the agent's settings."""

from __future__ import annotations

from pathlib import Path

from lora_tui.adapters import aliases, registry
from lora_tui.adapters.registry import Adapter
from lora_tui.adapters.serving.promote import promote
from lora_tui.adapters.wiring import places
from lora_tui.adapters.wiring.again import again, standing
from lora_tui.adapters.wiring.apply import apply
from lora_tui.adapters.wiring.plan import Plan, make
from lora_tui.adapters.wiring.server import server
from lora_tui.adapters.wiring.specialists import chosen, wanted_of
from lora_tui.adapters.wiring.wanted import Wanted
from lora_tui.cycle.ground import Ground, done, in_production, nothing, refused
from lora_tui.jobs.journal import CycleStep
from lora_tui.verify.promotion import reasons_against
from lora_tui.workspace.errors import LoraTuiError


def promoted(ground: Ground, adapter: Adapter, why: str) -> CycleStep:
    """Promote it, unless it was once already, or production is no longer what it was compared with.

    Raises LoraTuiError where a server cannot take it: the old version serves on.
    """
    now = in_production(ground.workspace, adapter.metadata.name)
    if _was_promoted(ground, adapter):
        if now is None or now.label != adapter.label:
            back = now.label if now is not None else "nothing"
            return refused(
                "promote", f"{adapter.label} was promoted, and {back} is in production since", made=adapter.label
            )
        return done("promote", f"{adapter.metadata.name} is {adapter.label}", made=adapter.label)
    compared = ground.production.label if ground.production is not None else ""
    if (now.label if now is not None else "") != compared:
        was = now.label if now is not None else "nothing"
        said = f"{was} is in production by now, and it was compared with {compared or 'the base'}"
        return refused("promote", said, made=adapter.label)
    against = reasons_against(ground.workspace, adapter)
    if against:
        return refused("promote", *against, made=adapter.label)
    made = promote(
        ground.workspace, adapter.label, why=why, instead_of=compared, say=lambda line: ground.tell(line, 0, 0)
    )
    where = f"in {', '.join(made.sets)}" if made.sets else "nothing serves it now"
    said = f"{made.name} is {made.version}, {where}; before: {made.before or 'none'}"
    return done("promote", said, *made.warnings, made=made.version)


def _was_promoted(ground: Ground, adapter: Adapter) -> bool:
    """By this cycle before it was killed, or by a person; whoever went back since knows why."""
    moves = aliases.history(ground.workspace, adapter.metadata.name)
    return any((move.alias, move.version) == (aliases.PRODUCTION, adapter.label) for move in moves)


def wired(ground: Ground) -> CycleStep:
    """Bring the agent's settings up to date where the specialist stands in them; elsewhere only if the profile says so.

    What cannot be written is said: the new version is in production all the same.
    """
    name = ground.profile.name
    said: list[str] = []
    wrote = False
    there = standing(ground.workspace, name)
    for record in there:
        try:
            plan, wanted = again(ground.workspace, record)
            wrote |= _written(ground, plan, wanted, record.adapters, said)
        except LoraTuiError as error:
            said.append(f"{record.config} stays as it is: {error.what}. {error.fix}".strip())
    if not there and ground.profile.cycle.opencode:
        try:
            plan, wanted = _first(ground)
            wrote |= _written(ground, plan, wanted, (name,), said)
        except LoraTuiError as error:
            said.append(f"opencode's settings stay as they are: {error.what}. {error.fix}".strip())
    elif not there:
        said.append(f"{name} stands in no settings that lora-tui wrote: `lora-tui opencode apply` writes it")
    return (done if wrote else nothing)("opencode", *said)


def _written(ground: Ground, plan: Plan, wanted: Wanted, adapters: tuple[str, ...], said: list[str]) -> bool:
    changed = [change.touched.path for change in plan.changes if change.is_one]
    if not changed:
        said.append(f"{plan.place.config}: the name stays the same, there is nothing to write")
        return False
    apply(ground.workspace, plan, wanted, adapters)
    said.append(f"written: {', '.join(changed)}")
    return True


def _first(ground: Ground) -> tuple[Plan, Wanted]:
    """As `lora-tui opencode apply --adapter NAME` would write it for every project."""
    found = server(ground.workspace, "", (ground.profile.name,))
    adapters = chosen(registry.adapters(ground.workspace), (ground.profile.name,), ())
    wanted, _ = wanted_of(
        ground.workspace,
        adapters,
        url=found.url,
        base_name=found.base_name,
        context=found.context,
        most=0 if found.context else found.most,
        auto=found.routes,
        served={name: label for name, label in found.served.items() if name == ground.profile.name},
    )
    return make(ground.workspace, places.global_place(Path.cwd()), wanted), wanted
