"""A merge's plan to read: what is kept and lost, which rank loses less, which adapters work against each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from lora_tui.adapters.byte_text import size
from lora_tui.tui.safe_text import fit, one_line
from lora_tui.tui.widgets.conversation_lines import Line
from lora_tui.tui.widgets.wrap import wrap
from lora_tui.workspace.errors import LoraTuiError

if TYPE_CHECKING:
    from lora_tui.adapters.merging.plan import ModulePlan, Pair, Plan

_FACT = 12
_WORST = 5  # modules, folded
_SLOW = 2.0  # seconds of planning that are worth a word
_RISING, _FALLING = "▁▂▃▄▅▆▇█", "▔▀"
_STRONG = 0.1  # a cosine that fills the bar where none is larger


def plan_lines(made: Plan, seconds: float, width: int, folded: bool) -> Iterator[Line]:
    """Everything, in the tones of a transcript."""
    for name, value in _facts(made, seconds).items():
        for number, piece in enumerate(wrap(one_line(value), width - _FACT)):
            yield [(("" if number else name).ljust(_FACT), "muted"), (piece, "")]
    for note in made.notes:
        yield from ([(piece, "found")] for piece in wrap(one_line(note), width))
    if made.pairs:
        yield []
        yield [("cosine of ΔW, layer by layer", "heading"), (f"  {_RISING} agree, {_FALLING} work against", "muted")]
        for pair in made.pairs:
            yield from _pair(pair, width)
    lossy = [module for module in made.modules if module.error]
    if lossy:
        yield []
        yield from _modules(lossy, width, folded)


def problem_lines(error: LoraTuiError, width: int, folded: bool) -> Iterator[Line]:
    """Why this cannot be merged."""
    for number, text in enumerate((f"✗ {error.what}", error.where, error.fix)):
        if text:
            yield from ([(piece, "muted" if number == 1 else "bad")] for piece in wrap(one_line(text), width))


def _facts(made: Plan, seconds: float) -> Mapping[str, str]:
    kept = truncated = ""
    if made.error is None:
        truncated = "known after the merge"
    else:
        kept = f"{(1 - min(1.0, made.error) ** 2) ** 0.5:.2%} of the merged norm"
        truncated = f"{made.error:.2%}"
        truncated += f", tried on {made.tried} small modules" if made.tried else ""
    if made.norm is not None:
        kept += f"{', which' if kept else 'it'} is {made.norm:.2f} × the adapters'"
    suggested = ""
    if made.lossless_rank is not None and made.error:
        ranks = {rank: loss for loss, rank in sorted(made.rank_of_loss.items(), reverse=True, key=lambda one: one[1])}
        told = [f"r {rank} loses {loss.replace(' ', '')}" for rank, loss in ranks.items() if rank < made.lossless_rank]
        suggested = ", ".join([f"r {made.lossless_rank} loses nothing", *told])
    took = f"; looking at it took {seconds:.0f} s, writing takes longer" if seconds >= _SLOW else ""
    serving = f", --max-lora-rank {made.max_lora_rank}" if made.max_lora_rank else ", more than vLLM serves"
    return {
        "rank": f"{made.r} of {made.ranks_summed} side by side{serving}",
        "norm kept": kept,
        "lost": truncated,
        "suggested": suggested,
        "file": f"{size(made.bytes)} in {made.dtype.lower()}{took}",
    }


def _pair(pair: Pair, width: int) -> Iterator[Line]:
    yield [
        (f"{one_line(pair.one)} and {one_line(pair.two)}  ", ""),
        (f"{pair.cosine:+.3f}", "bad" if pair.cosine < 0 else "good"),
    ]
    values = list(pair.layers.values())
    most = max(_STRONG, *(abs(value) for value in values)) if values else _STRONG
    bar, shown = 0, values[: max(1, width - 24)]
    line: list[tuple[str, str]] = [("  ", "")]
    while bar < len(shown):
        falls = shown[bar] < 0
        end = bar
        while end < len(shown) and (shown[end] < 0) == falls:
            end += 1
        text = "".join(_cell(value / most) for value in shown[bar:end])
        line.append((text, "bad" if falls else "agent"))
        bar = end
    span = f"  {min(values):+.3f} to {max(values):+.3f}" if values else ""
    yield [*line, (span, "muted")]


def _cell(share: float) -> str:
    if share < 0:
        return _FALLING[share < -0.5]
    return _RISING[min(len(_RISING) - 1, int(share * len(_RISING)))]


def _modules(lossy: Sequence[ModulePlan], width: int, folded: bool) -> Iterator[Line]:
    worst = sorted(lossy, key=lambda module: -(module.error or 0.0))
    shown = worst[:_WORST] if folded else worst
    yield [("where the most is lost", "heading")]
    for module in shown:
        name = module.name.removeprefix("model.layers.")
        yield [(f"{module.error or 0:7.2%}  ", "bad"), (f"r {module.rank:<4} ", "muted"), (fit(name, width - 17), "")]
    if len(worst) > len(shown):
        yield [(f"and {len(worst) - len(shown)} more (tab, z unfolds)", "muted")]
