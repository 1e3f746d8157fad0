"""A dry run: the steps up to the plan are really done, on a copy; of the others it is said what they would do."""

from __future__ import annotations

from collections.abc import Iterator

from lora_tui.adapters.serving import sets
from lora_tui.adapters.wiring.again import standing
from lora_tui.backends.counting import Tell, unheard
from lora_tui.cycle import gathering, judging, rows, training
from lora_tui.cycle.ground import Ground, done, many, nothing, refused
from lora_tui.cycle.scratch import copied
from lora_tui.jobs.job import Cycle
from lora_tui.jobs.journal import CycleStep
from lora_tui.verify.suites.suite import load_suite
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.layout import Workspace


def rehearse(workspace: Workspace, job: Cycle, tell: Tell = unheard) -> Iterator[CycleStep]:
    """Each step with what it would do; the workspace stays as it is, to the byte. Raises LoraTuiError as a cycle does.

    It ends where a cycle would: with nothing to do at the dataset, or refused at the plan.
    """
    if not workspace.database.is_file():
        raise BadInput(
            "nothing was read into this workspace yet",
            where=str(workspace.root),
            fix="`lora-tui ingest` reads your agent's history; `lora-tui demo` shows the whole loop.",
        )
    with copied(workspace) as copy:
        ground = Ground.of(copy, job, tell)
        yield gathering.read_new(ground)
        yield gathering.accept_by_rule(ground)
        version = rows.next_version(ground)
        yield version
        if version.outcome == "nothing":
            return
        try:
            ahead = training.look_ahead(ground, version.made)
        except LoraTuiError as error:
            ahead = refused("plan", str(error).replace("\n", ". "))
        yield ahead
        if ahead.outcome == "refused":
            return
        yield done("train", f"a run of its own; the adapter becomes the next version of {ground.profile.name}")
        yield _verify(ground)
        yield _promote(ground)
        yield _opencode(ground)


def _verify(ground: Ground) -> CycleStep:
    wanted = ground.profile.verification
    suites = [load_suite(ground.workspace, name) for name in judging.suites(ground)]
    asked = " and ".join(f"{suite.name}, {many(len(suite.cases), 'prompt')}," for suite in suites)
    gates = wanted.gates or (judging.NOT_WORSE,)
    against = judging.baseline(ground)
    if ground.production is None:
        against = f"the base {ground.profile.model.base}: nothing is in production"
    return done("verify", f"{asked} against {against}", *(f"gate {gate}" for gate in gates))


def _promote(ground: Ground) -> CycleStep:
    name = ground.profile.name
    serving = [
        one.set.name for one in sets.alive(ground.workspace) if any(_is(name, text) for text in one.set.adapters)
    ]
    where = f"in {', '.join(serving)}" if serving else "nothing serves it now"
    now = f"{name} is {ground.production.label}" if ground.production is not None else "nothing is in production"
    return done("promote", f"only if every gate passes; until then {now} ({where})")


def _is(name: str, text: str) -> bool:
    return text.partition("@")[0] == name


def _opencode(ground: Ground) -> CycleStep:
    there = [one.config for one in standing(ground.workspace, ground.profile.name)]
    if there:
        return done("opencode", f"after a promotion, where it stands already: {', '.join(there)}")
    if ground.profile.cycle.opencode:
        return done("opencode", "after a promotion, into opencode's settings for every project")
    return nothing("opencode", f"{ground.profile.name} stands in no settings that lora-tui wrote")
