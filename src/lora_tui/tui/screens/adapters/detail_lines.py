"""One version to read: what points to it, whether it is whole, what it comes from, how it does, what it takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from lora_tui.adapters.aliases import Moved
from lora_tui.adapters.byte_text import size
from lora_tui.adapters.memory import ServingSet
from lora_tui.adapters.metadata import Metadata
from lora_tui.tui.safe_text import moment, one_line
from lora_tui.tui.screens.adapters.opened import Opened, Result
from lora_tui.tui.widgets.conversation_lines import Line
from lora_tui.tui.widgets.wrap import wrap
from lora_tui.tui.wording import base_name, duration, endpoint_name, many

_FACT = 13  # cells of a fact's name
_OUTCOMES = {"better": ("✓ ", "good"), "worse": ("✗ ", "bad")}  # of a comparison; else undecided, or the same
_MOVES, _RESULTS, _WORST = 6, 3, 3  # shown, folded


def detail_lines(opened: Opened, check: Sequence[str] | None, width: int, folded: bool) -> Iterator[Line]:
    """Everything, in the tones of a transcript. `check`: what is wrong with its files, None: not looked at yet."""
    item, about = opened.item, opened.item.adapter.metadata
    made = "merged" if about.strategy else "trained" if about.run else "taken in"
    when = f"{made} {moment(about.created)}" if about.created else ""
    if len(item.label) + len(when) + 2 <= width:
        yield [(one_line(item.label), "heading"), (f"  {when}", "muted")]
    else:
        yield from ([(piece, "heading")] for piece in wrap(one_line(item.label), width))
        yield [(when, "muted")]
    if item.aliases:
        yield [(", ".join(item.aliases), "good")]
    yield from _check(check, width)
    for problem in opened.problems:
        yield from ([(piece, "bad")] for piece in wrap(one_line(problem), width))
    if item.problem:
        return
    yield []
    yield from _facts(_origin(opened), width)
    yield from _merge(about, width, folded)
    yield []
    yield from _results(opened.results, width, folded)
    yield from _facts(_figures(about), width)
    yield []
    yield from _history(opened.history, item.label, width, folded)
    yield from _facts(_memory(opened), width)
    yield []
    yield from _facts(_rest(opened), width)


def _check(check: Sequence[str] | None, width: int) -> Iterator[Line]:
    if check is None:
        yield [("v checks its files and weights", "muted")]
    elif not check:
        yield [("✓ it is what was registered: files, metadata, weights", "good")]
    else:
        yield [(f"✗ {many(len(check), 'thing')} wrong with it", "bad")]
        for line in check:
            yield from ([("  " + piece, "bad")] for piece in wrap(one_line(line), width - 2))


def _facts(facts: Mapping[str, str], width: int) -> Iterator[Line]:
    for name, value in facts.items():
        if value:
            for number, piece in enumerate(wrap(one_line(value), width - _FACT)):
                yield [(("" if number else name).ljust(_FACT), "muted"), (piece, "")]


def _origin(opened: Opened) -> Mapping[str, str]:
    about = opened.item.adapter.metadata
    sources = " + ".join(f"{source.weight:g} × {base_name(source.label)}" for source in about.sources)
    revision = f" at {about.base_revision[:12]}" if about.base_revision else ""
    return {
        "base": base_name(about.base) + revision,
        "merged from": sources,
        "comes from": "" if sources else " ← ".join(opened.line[1:]),
        "led to": ", ".join(opened.children),
        "dataset": about.dataset + (", its new rows alone" if about.new_rows_only else ""),
        "profile": about.profile,
        "tags": ", ".join(opened.tags),
        "note": about.note,
    }


def _merge(about: Metadata, width: int, folded: bool) -> Iterator[Line]:
    if not about.strategy:
        return
    settings = ", ".join(f"{key} {value}" for key, value in about.strategy_settings.items())
    told = {"strategy": f"{about.strategy}{f' ({settings})' if settings else ''}"}
    if about.error is not None:
        told["truncated"] = f"{about.error:.2%} of its norm is lost at rank {about.r}"
    yield from _facts(told, width)
    worst = sorted(about.errors.items(), key=lambda entry: -entry[1])
    for name, error in worst[: _WORST if folded else len(worst)]:
        if error > 0:
            yield from _facts({" ": f"{error:.2%}  {name}"}, width)


def _results(results: Sequence[Result], width: int, folded: bool) -> Iterator[Line]:
    if not results:
        yield [("not verified yet: V compares it with its base", "found")]
    for item in results[: _RESULTS if folded else len(results)]:
        yield [
            _OUTCOMES.get(item.outcome, ("· ", "muted")),
            (f"{one_line(item.suite)}: {item.passed} of {item.answers}", "heading"),
            (f", {one_line(endpoint_name(item.against))} {item.theirs}  {moment(item.created)}", "muted"),
        ]
        yield from ([("  " + piece, "")] for piece in wrap(one_line(item.verdict), width - 2))
    if len(results) > _RESULTS and folded:
        yield [(f"and {len(results) - _RESULTS} more (z unfolds)", "muted")]


def _figures(about: Metadata) -> Mapping[str, str]:
    loss = [] if about.loss is None else [f"loss {about.loss:.3f}"]
    loss += [] if about.eval_loss is None else [f"eval loss {about.eval_loss:.3f}"]
    general = ""
    if about.general_loss is not None and about.general_loss_before is not None:
        general = f"loss {about.general_loss_before:.3f} → {about.general_loss:.3f}"
        general += f", KL {about.general_kl:.3f} per token" if about.general_kl is not None else ""
    took = [many(about.steps, "step"), duration(about.seconds)] if about.steps else []
    return {"training": ", ".join([*took, *loss]), "general": general}


def _memory(opened: Opened) -> Mapping[str, str]:
    about, served, together = opened.item.adapter.metadata, opened.served, opened.together
    rslora = ", rsLoRA" if about.lora is not None and about.lora.use_rslora else ""
    parameters = f"; {about.parameters:,} parameters" if about.parameters else ""
    return {
        "LoRA": f"r {about.r}, lora_alpha {about.lora_alpha:g}{rslora}{parameters}" if about.r else "",
        "modules": " ".join(about.target_modules),
        "on disk": size(opened.item.size),
        "served": f"{size(served.slot)} a slot at max-lora-rank {served.max_lora_rank}" if served else "",
        "marked": _together(together) if together else "",
    }


def _together(found: ServingSet) -> str:
    number = len(found.adapters)
    return (
        f"{number} together take {size(found.total)} of a server: {found.max_loras} slots of {size(found.slot)}, "
        f"--max-lora-rank {found.max_lora_rank} --max-loras {found.max_loras}"
    )


def _history(history: Sequence[Moved], label: str, width: int, folded: bool) -> Iterator[Line]:
    for moved in history[: _MOVES if folded else len(history)]:
        was = f", it was {moved.previous}" if moved.previous and moved.version else ""
        what = f"{moved.alias} is {moved.version}{was}" if moved.version else f"{moved.alias} was dropped"
        why = f": {one_line(moved.why)}" if moved.why else ""
        who = f" ({one_line(moved.who)})" if moved.who else ""
        for number, piece in enumerate(wrap(what + why + who, width - 18)):
            when = moment(moved.time) if not number else ""
            yield [(f"{when:18}", "muted"), (piece, "" if label in (moved.version, moved.previous) else "muted")]
    if len(history) > _MOVES and folded:
        yield [(f"and {len(history) - _MOVES} more (z unfolds)", "muted")]
    if history:
        yield []


def _rest(opened: Opened) -> Mapping[str, str]:
    about = opened.item.adapter.metadata
    return {
        "licence": about.licence,
        "run": about.run,
        "weights": about.weights_sha256,
        "tokenizer": about.tokenizer_hash,
        "template": about.template_hash,
        "dataset hash": about.dataset_hash,
        "made with": about.made_with,
        "folder": f"adapters/{about.name}/{about.version} of the workspace",
    }
