"""`lora-tui augment`: examples for a language that has few, from code that people wrote."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from lora_tui.cli.output import NUMBER, Cli, Number, duration, json_option, pass_cli, table

if TYPE_CHECKING:
    from lora_tui.curation.augment.asking import Budget, Model
    from lora_tui.curation.augment.preparing import Estimate, Prepared
    from lora_tui.curation.augment.run import Outcome
    from lora_tui.curation.augment.table import Kind

_KINDS = ("implement", "fix", "refactor", "test")
_CAUSES_SHOWN = 5
_SAMPLE = 5
_INTERRUPTED = 130
_NOT_NEGATIVE = click.FloatRange(min=0)


@click.command("augment")
@click.option("--language", required=True, help="The language that needs examples: ruby, swift, …")
@click.option("--endpoint", metavar="URL", default="", help="An OpenAI-compatible server; without one, templates.")
@click.option("--model", metavar="NAME", default="", help="The model there that writes the requests.")
@click.option("--key-env", metavar="VARIABLE", default="", help="Environment variable that holds the server's key.")
@click.option("--count", type=NUMBER, default=100, show_default=True, help="How many examples to make.")
@click.option("--kinds", default="", help=f"Kinds of requests, by commas: {','.join(_KINDS)}. Default: all it can.")
@click.option(
    "--repo",
    "repos",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A folder of code (repeatable). Default: where the recorded sessions worked.",
)
@click.option("--concurrency", type=Number(1, 64), default=4, show_default=True, help="Questions at a time.")
@click.option("--price-in", type=_NOT_NEGATIVE, default=0.0, help="Price of a million tokens sent.")
@click.option("--price-out", type=_NOT_NEGATIVE, default=0.0, help="Price of a million tokens received.")
@click.option("--max-calls", type=Number(), default=0, help="Stop after so many calls.")
@click.option("--max-cost", type=_NOT_NEGATIVE, default=0.0, help="Stop before the cost could exceed this.")
@click.option("--measure", is_flag=True, help="Ask one question first, to estimate the time; its answer is kept.")
@click.option("--dry-run", is_flag=True, help="Show the code that would be used and what asking takes; store nothing.")
@click.option("--yes", is_flag=True, help="Do not ask before it starts.")
@json_option
@pass_cli
def command(cli: Cli, /, **given: Any) -> None:
    """Make examples for a language that has few: people's code is the answer, a model writes only the request.

    Functions, types, tests and mined commits are taken from your projects. Each request is checked: it must not give
    the answer away, the names the code uses must be known, a second call must find that it can lead to the code. The
    examples are marked as augmented; a person sees a part of them in the queue augmented-LANGUAGE.

    Run again, it goes on where it stopped: what was answered is not asked again.
    """
    from lora_tui.curation.augment.preparing import estimate, prepare
    from lora_tui.curation.augment.run import Augmentation
    from lora_tui.workspace.errors import BadInput

    if given["endpoint"] and not given["model"]:
        raise BadInput("which model shall write the requests?", fix="Name it with --model.")
    if given["max_cost"] and not (given["price_in"] or given["price_out"]):
        raise BadInput("--max-cost needs prices", fix="Give --price-in and --price-out per million tokens.")
    model = _model(cli, given) if given["endpoint"] else None
    with cli.progress("reading code") as advance:
        prepared = prepare(
            cli.workspace, given["language"], _kinds(given, model), given["repos"], advance, with_model=bool(model)
        )
    needed = estimate(prepared, given["count"])
    seconds = _measured(cli, given, prepared) if given["measure"] and model else 0.0
    if given["dry_run"]:
        prepared.stop()
        cli.emit(
            _plan_data(prepared, needed, model, seconds, given), lambda: _plan(prepared, needed, model, given, seconds)
        )
        return
    if not needed.candidates:
        raise BadInput(
            f"no {given['language']} code to use ({_reasons(prepared.funnel.left_out) or 'no such files'})",
            fix="Name folders with --repo, or mine their commits first: lora-tui mine REPO.",
        )
    if model is not None:
        cli.say(_needs(needed, model, given, seconds))
        if sys.stdin.isatty() and not given["yes"]:
            click.confirm("Ask the model?", abort=True, err=True)
    with cli.progress("writing requests") as advance:
        outcome = Augmentation(cli.workspace, prepared, given["count"], model, advance).run(given["concurrency"])
    cli.emit(_outcome_data(outcome, model), lambda: _outcome(outcome, model))
    if outcome.stopped == "interrupted":
        raise click.exceptions.Exit(_INTERRUPTED)


def _kinds(given: dict[str, Any], model: Model | None) -> list[Kind]:
    """The kinds asked for; by default all, without a model only those whose templates say something."""
    from lora_tui.workspace.errors import BadInput

    if not given["kinds"]:
        return cast("list[Kind]", list(_KINDS) if model else ["implement", "test"])
    named = [kind.strip() for kind in given["kinds"].split(",") if kind.strip()]
    for kind in named:
        if kind not in _KINDS:
            raise BadInput(f"there is no kind {kind!r}", fix=f"Kinds: {', '.join(_KINDS)}.")
    return cast("list[Kind]", named)


def _model(cli: Cli, given: dict[str, Any]) -> Model:
    from lora_tui.curation.augment.asking import Budget, Model

    budget = Budget(given["max_calls"], given["max_cost"], given["price_in"], given["price_out"])
    return Model(
        given["endpoint"],
        given["model"],
        cli.workspace.root / "cache" / "augment",
        key_variable=given["key_env"],
        budget=budget,
        concurrency=given["concurrency"],
    )


def _measured(cli: Cli, given: dict[str, Any], prepared: Prepared) -> float:
    """Seconds that one question takes: the first one, which the work asks again and finds answered."""
    import asyncio

    from lora_tui.curation.augment.asking import NoAnswer
    from lora_tui.curation.augment.requests import asks_for_request
    from lora_tui.curation.augment.table import table as rules
    from lora_tui.workspace.errors import LoraTuiError

    async def ask() -> float:
        async with _model(cli, given) as model:
            chat = asks_for_request(prepared.candidates[0])
            try:
                return (await model.ask(chat, rules().asking.max_tokens)).seconds
            except NoAnswer as error:
                raise LoraTuiError(f"{model.name} does not answer: {error}", where=model.url) from error

    return asyncio.run(ask()) if prepared.candidates else 0.0


def _cost(budget: Budget, tokens_in: int, tokens_out: int) -> float | None:
    return budget.price(tokens_in, tokens_out) if budget.price_in or budget.price_out else None


def _needs(needed: Estimate, model: Model, given: dict[str, Any], seconds: float) -> str:
    """What asking takes, in a line."""
    budget = model.budget
    parts = [
        f"{needed.calls:,} to {needed.calls_most:,} calls to {model.name}",
        f"{needed.tokens_in:,} to {needed.tokens_in_most:,} tokens in",
        f"{needed.tokens_out:,} to {needed.tokens_out_most:,} out",
    ]
    least = _cost(budget, needed.tokens_in, needed.tokens_out)
    most = _cost(budget, needed.tokens_in_most, needed.tokens_out_most)
    if least is not None and most is not None:
        parts.append(f"cost {least:.4g} to {most:.4g}")
    if seconds:
        parts.append(f"about {duration(seconds * needed.calls / given['concurrency'])} or more")
    if budget.most_calls:
        parts.append(f"stops after {budget.most_calls:,} calls")
    if budget.most_cost:
        parts.append(f"stops at a cost of {budget.most_cost:g}")
    return "; ".join(parts)


def _plan_data(
    prepared: Prepared, needed: Estimate, model: Model | None, seconds: float, given: dict[str, Any]
) -> dict[str, object]:
    import msgspec

    data: dict[str, object] = {"language": prepared.language, **msgspec.to_builtins(prepared.funnel)}
    data["candidates"] = needed.candidates
    data["sample"] = [f"{one.kind} {one.label}" for one in prepared.candidates[:_SAMPLE]]
    if model is not None:
        budget = model.budget
        data["estimate"] = {
            **msgspec.to_builtins(needed),
            "cost": _cost(budget, needed.tokens_in, needed.tokens_out),
            "cost_most": _cost(budget, needed.tokens_in_most, needed.tokens_out_most),
            "seconds_per_call": seconds or None,
            "seconds": seconds * needed.calls / given["concurrency"] if seconds else None,
        }
    return data


def _plan(prepared: Prepared, needed: Estimate, model: Model | None, given: dict[str, Any], seconds: float) -> str:
    funnel = prepared.funnel
    rows: list[tuple[str, int]] = [("found", funnel.found)]
    rows += [(f"  {reason}", -number) for reason, number in funnel.left_out.items()]
    rows.append(("candidates", needed.candidates))
    lines = [table(rows, (prepared.language, "pieces of code"))]
    lines += [f"  {one.kind:9}  {one.label}" for one in prepared.candidates[:_SAMPLE]]
    if needed.candidates > _SAMPLE:
        lines.append(f"  … and {needed.candidates - _SAMPLE:,} more")
    lines.append(_needs(needed, model, given, seconds) if model else "no model: the requests would come from templates")
    return "\n".join(lines)


def _outcome_data(outcome: Outcome, model: Model | None) -> dict[str, object]:
    import msgspec

    data: dict[str, object] = msgspec.to_builtins(outcome.funnel)
    data |= msgspec.to_builtins(outcome.settled)
    data |= {"stopped": outcome.stopped, "causes": outcome.causes}
    if model is not None:
        budget = model.budget
        data |= {"calls": budget.calls, "tokens_in": budget.tokens_in, "tokens_out": budget.tokens_out}
        data["cost"] = _cost(budget, budget.tokens_in, budget.tokens_out)
    return data


def _outcome(outcome: Outcome, model: Model | None) -> str:
    funnel = outcome.funnel
    rows: list[tuple[str, int]] = [("found", funnel.found)]
    rows += [(f"  {reason}", -number) for reason, number in funnel.left_out.items()]
    if funnel.not_needed:
        rows.append(("  not needed", -funnel.not_needed))
    rows.append(("tried", funnel.tried))
    rows += [(f"  {reason}", -number) for reason, number in funnel.failed.items()]
    rows.append(("stored", funnel.stored))
    lines = [table(rows, ("", "pieces of code"))]
    if funnel.low:
        lines.append(f"{funnel.low} of them fit badly")
    settled = outcome.settled
    if settled.accepted:
        lines.append(f"{settled.accepted} accepted by 'augment'; to take that back: lora-tui label --undo --by augment")
    if settled.queue:
        lines.append(f"{settled.queued} wait for a person: lora-tui queue {settled.queue}")
    for cause, number in sorted(outcome.causes.items(), key=lambda item: -item[1])[:_CAUSES_SHOWN]:
        lines.append(f"no answer, {number} times: {cause}")
    if model is not None:
        budget = model.budget
        spent = _cost(budget, budget.tokens_in, budget.tokens_out)
        cost = f", cost {spent:.4g}" if spent is not None else ""
        lines.append(f"{budget.calls:,} calls, {budget.tokens_in:,} tokens in, {budget.tokens_out:,} out{cost}")
    if outcome.stopped:
        lines.append(f"stopped: {outcome.stopped}. The same command goes on from here.")
    return "\n".join(lines)


def _reasons(left_out: dict[str, int]) -> str:
    return ", ".join(f"{number} {reason}" for reason, number in left_out.items())
