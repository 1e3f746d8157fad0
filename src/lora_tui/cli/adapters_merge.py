"""`lora-tui adapters merge`: several adapters into one, or what that would give."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click
import msgspec

from lora_tui.cli.output import NUMBER, Cli, Number, json_option, pass_cli, table
from lora_tui.jobs import journal, supervisor
from lora_tui.jobs.merging import Recipe, Source, Space, Strategy
from lora_tui.jobs.supervisor import Run
from lora_tui.jobs.view import RunView
from lora_tui.workspace.errors import BadInput, LoraTuiError

if TYPE_CHECKING:
    from lora_tui.adapters.merging.plan import Plan
    from lora_tui.adapters.merging.process import Report

_DTYPES = {"bf16": "BF16", "f16": "F16", "f32": "F32"}
_STOP_SECONDS = 30


@click.command("merge")
@click.argument("adapters", nargs=-1, required=True, metavar="A[@V] B[@V] …")
@click.option(
    "--strategy",
    type=click.Choice(get_args(Strategy)),
    required=True,
    help="average; weighted: Σ w·ΔW / Σ w; slerp: two, along the arc; task-arithmetic: λ·Σ w·ΔW, w of any sign; "
    "cat: that sum exactly, at the rank of all together; ties: trim, elect signs, mean; dare: drop at random, rescale, "
    "sum.",
)
@click.option(
    "--weights",
    multiple=True,
    metavar="W,W,…",
    help="One of each adapter, as in 0.7,0.3; without them all count 1. Of weighted, task-arithmetic, cat, ties, dare.",
)
@click.option("--t", default=0.5, show_default=True, help="slerp: 0 is the first adapter, 1 the second.")
@click.option("--density", type=float, help="ties, dare: the share of the entries that is kept.  [0.2; dare 0.5]")
@click.option("--lambda", "scaling", default=1.0, show_default=True, help="task-arithmetic, ties, dare: a factor.")
@click.option("--seed", type=Number(0), default=0, show_default=True, help="What dare's masks are drawn by.")
@click.option("--rank", type=NUMBER, help="r of the result.  [the largest of the adapters']")
@click.option(
    "--space",
    type=click.Choice(get_args(Space)),
    default="core",
    show_default=True,
    help="Where ties and dare look at entries: in small cores in bases that the adapters share, or on ΔW as the papers "
    "do, which takes minutes for a 7B base.",
)
@click.option(
    "--normalise/--raw",
    default=None,
    help="Divide the weights by their sum, or take them as they are.  [raw; weighted: normalise]",
)
@click.option(
    "--renormalise", is_flag=True, help="average: where some lack a module, divide by the number of those that have it."
)
@click.option("--dtype", type=click.Choice(list(_DTYPES)), help="What the result is stored in.  [as the adapters are]")
@click.option("--name", metavar="OUT", help="Register the result under this name, as its next version.")
@click.option("--output", type=click.Path(path_type=Path), metavar="DIR", help="Write a folder outside the registry.")
@click.option("--plan", "only_plan", is_flag=True, help="Show error, norm, conflicts and size, and write nothing.")
@json_option
@pass_cli
def merge(
    cli: Cli,
    adapters: tuple[str, ...],
    strategy: Strategy,
    weights: tuple[str, ...],
    t: float,
    density: float | None,
    scaling: float,
    seed: int,
    rank: int | None,
    space: Space,
    normalise: bool | None,
    renormalise: bool,
    dtype: str | None,
    name: str | None,
    output: Path | None,
    only_plan: bool,
) -> None:
    """Merge adapters of one base: versions in the registry, or folders in PEFT layout.

    The result is a new version with its parents, and nothing points to it until you promote it. What truncation to its
    rank loses is told for each module and in all.
    """
    names, numbers = _weights(adapters, weights)
    recipe = Recipe(
        strategy=strategy,
        weights=numbers,
        t=t,
        density=density,
        scaling=scaling,
        seed=seed,
        rank=rank or 0,
        space=space,
        normalise=normalise,
        renormalise=renormalise,
        dtype=_DTYPES[dtype] if dtype else "",  # type: ignore[arg-type]
    )
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is imported: more only wait on small matrices
    from lora_tui.adapters.merging import start

    sources = start.sources_of(cli.workspace, names)
    if only_plan:
        _show_plan(cli, sources, recipe)
        return
    _check(sources, recipe)
    run = start.create(cli.workspace, sources, recipe, name=name or "", output=str(output) if output else "")
    _follow(cli, run)


def _weights(adapters: tuple[str, ...], given: tuple[str, ...]) -> tuple[list[str], tuple[float, ...]]:
    """Names and weights; `--weights 0.7 0.3` leaves the second where the adapters are."""
    words = " ".join(given).replace(",", " ").split()
    names = list(adapters)
    if given:
        words += [name for name in names if _is_number(name)]
        names = [name for name in names if not _is_number(name)]
    for word in words:
        if not _is_number(word):
            raise BadInput(f"{word!r} is not a number", where="--weights", fix="Write them as 0.7,0.3.")
    return names, tuple(map(float, words))


def _is_number(word: str) -> bool:
    with contextlib.suppress(ValueError):
        float(word)
        return not Path(word).exists()
    return False


def _check(sources: tuple[Source, ...], recipe: Recipe) -> None:
    """Refuse what cannot be merged before a run is made of it."""
    from lora_tui.adapters.merging.coefficients import check
    from lora_tui.adapters.merging.sources import opened

    with opened(sources) as found:
        check(recipe, len(found.folders))


def _show_plan(cli: Cli, sources: tuple[Source, ...], recipe: Recipe) -> None:
    from lora_tui.adapters.merging.plan import plan
    from lora_tui.adapters.merging.sources import opened

    with opened(sources) as found, cli.progress("modules") as advance:
        made = plan(found, recipe, advance)
    cli.emit(msgspec.to_builtins(made), lambda: _plan_text(made))


def _plan_text(made: Plan) -> str:
    facts: list[tuple[str, Any]] = [
        ("strategy", made.strategy),
        ("adapters", ", ".join(f"{label} × {weight:.3g}" for label, weight in made.weights.items())),
        ("r", f"{made.r} of {made.ranks_summed} side by side"),
        ("lost to truncation", _error(made)),
        ("norm kept", "" if made.error is None else f"{(1 - made.error**2) ** 0.5:.2%}"),
        ("norm", "" if made.norm is None else f"{made.norm:.2f} × the adapters'"),
        ("lossless at r", made.lossless_rank or ""),
        *((f"{loss} lost at r", rank) for loss, rank in made.rank_of_loss.items()),
        ("file", f"{made.bytes / 1e6:.1f} MB in {made.dtype.lower()}"),
        ("vLLM", f"--max-lora-rank {made.max_lora_rank}" if made.max_lora_rank else "takes no such rank"),
    ]
    pairs = [
        (f"{pair.one} and {pair.two}", f"{pair.cosine:.3f}", f"{min(found):.3f}", f"{max(found):.3f}")
        for pair in made.pairs
        if (found := pair.layers.values())
    ]
    modules = [
        (
            module.name,
            module.rank,
            "" if module.error is None else f"{module.error:.4f}",
            "" if module.norm is None else f"{module.norm:.2f}",
            " ".join("-" if cosine is None else f"{cosine:.2f}" for cosine in module.cosines),
        )
        for module in made.modules
    ]
    parts = [
        table(modules, ("module", "rank", "error", "norm", "cosines"), right=(2, 3)),
        table([fact for fact in facts if fact[1] != ""], ("plan", "")),
        table(pairs, ("cosine of", "all", "least layer", "most layer"), right=(1, 2, 3)) if pairs else "",
        *(f"note: {note}" for note in made.notes),
    ]
    return "\n\n".join(part for part in parts[:3] if part) + "".join(f"\n{note}" for note in parts[3:])


def _error(made: Plan) -> str:
    if made.error is None:
        return "known after the merge"
    return f"{made.error:.2%}" + (f", tried on {made.tried} small modules" if made.tried else "")


def _follow(cli: Cli, run: Run) -> None:
    """Start the run and wait for it; interrupted, stop it: nothing half is left."""
    from lora_tui.adapters.merging.process import load_report
    from lora_tui.cli.runs_follow import watch

    supervisor.start(run)
    view = RunView(run)
    try:
        with cli.progress("modules") as advance:
            for event in watch(view):
                if isinstance(event, journal.Progress):
                    advance(event.done, event.total)
                elif isinstance(event, journal.Note):
                    cli.say(f"note: {event.message}")
    except BaseException:
        _stop(run)
        raise
    if view.state != "finished":
        said = next((event for event in [view.last_word] if isinstance(event, journal.Failed)), None)
        if said is not None:
            raise LoraTuiError(said.reason, where=said.where, fix=said.fix)
        raise LoraTuiError(view.failure or f"the merge was {view.state}", where=run.id)
    report = load_report(run)
    cli.emit(_data(report, run), lambda: _text(report))


def _stop(run: Run) -> None:
    with contextlib.suppress(LoraTuiError):  # it has ended by itself
        supervisor.stop(run)
        if not supervisor.wait(run, _STOP_SECONDS):
            supervisor.kill(run)


def _data(report: Report, run: Run) -> dict[str, Any]:
    data: dict[str, Any] = msgspec.to_builtins(report)
    return {"run": run.id, **{key: value for key, value in data.items() if key != "result"}, **data["result"]}


def _text(report: Report) -> str:
    modules = [(module.name, module.rank, f"{module.error:.4f}") for module in report.result.modules]
    merged = ", ".join(f"{source.label} × {source.weight:.3g}" for source in report.sources)
    lines = [
        table(modules, ("module", "rank", "truncation error"), right=(2,)),
        f"total truncation error {report.result.error:.4f} at r {report.result.r}",
        f"{report.label}: {report.strategy} of {merged}, in {report.folder}",
    ]
    return "\n".join(lines)
