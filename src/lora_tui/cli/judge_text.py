"""How `judge` says what a judge said, and first what speaks against believing it."""

from __future__ import annotations

from lora_tui.cli.output import table
from lora_tui.cli.vote_text import ranking_words, short, side_words
from lora_tui.verify.judge.asking import warning
from lora_tui.verify.judge.judgements import Judgement, Series
from lora_tui.verify.judge.summary import Summary
from lora_tui.verify.judge.wording import BETTER
from lora_tui.verify.reports.report import Report
from lora_tui.verify.votes import current


def in_words(report: Report, made: Summary, series: Series) -> str:
    """The pairs, then how far the judge is to be trusted, then its tally."""
    rows = [
        (item.prompt + 1, _better(item, report), short(report.outcomes[item.prompt].description), _reason(item))
        for item in series.judgements
        if current(report, [item.vote])
    ]
    lines = [f"judge {made.judge}", *([] if made.rubric == BETTER else [f"by: {made.rubric}"]), ""]
    lines += [table(rows, ("prompt", "better", "", "why")), ""]
    lines += [f"warning: {warning(made.own)}"] if made.own else []
    lines += [made.agreement.verdict, made.order_words]
    if made.not_run:
        lines.append(f"{made.not_run} pairs not judged: {made.why}")
    if made.tally.stale:
        lines.append(f"{made.tally.stale} left out: their prompts were asked again since.")
    if made.judged:
        lines.append(f"Its verdict: {made.tally.test.verdict}")
    if made.judged and made.tally.ranking is not None:
        lines += ["", *ranking_words(made.tally.ranking)]
    return "\n".join(lines)


def _better(item: Judgement, report: Report) -> str:
    sides = [side_words(item.first), side_words(item.second)]
    preferred = side_words(item.vote.preferred)
    if item.not_run:
        said = "not judged"
    elif not preferred:
        said = "tie: by the order" if item.contradicts else "tie"
    else:
        said = preferred
    if len(report.sides) == 2:
        return said
    others = [side for side in sides if side != preferred]
    return f"{said} over {others[0]}" if preferred else f"{said} ({' and '.join(sides)})"


def _reason(item: Judgement) -> str:
    text = item.not_run or (item.reasons[0] if item.reasons else "")
    return short(text, 60)
