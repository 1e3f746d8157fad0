"""The lines over the prompts: what `s` would start, and how the comparison on the screen came out."""

from __future__ import annotations

from collections.abc import Sequence

from lora_tui.tui.safe_text import one_line
from lora_tui.tui.screens.verify.comparison import Comparison
from lora_tui.tui.screens.verify.proposal import Proposal
from lora_tui.tui.widgets.live_lines import Line, Piece, bar
from lora_tui.tui.widgets.wrap import wrap
from lora_tui.tui.wording import STATES, endpoint_name


def proposal_lines(proposal: Proposal, width: int) -> Sequence[Line]:
    """One line: suite, baseline and fine-tune that are chosen, each with its key."""
    parts = [
        ("c", "suite", proposal.suite),
        ("b", "baseline", endpoint_name(proposal.baseline) if proposal.baseline else ""),
        ("t", "fine-tune", endpoint_name(proposal.tuned) if proposal.tuned else ""),
    ]
    line: list[Piece] = []
    for key, name, value in parts:
        line += [
            (key, "primary"),
            (f" {name} ", "muted"),
            (one_line(value) or "none", "" if value else "warn"),
            ("   ", ""),
        ]
    return [line]


def summary_lines(found: Comparison, width: int) -> Sequence[Line]:
    """Counts and verdict when it is done, how far it is while it is not."""
    mark, tone = STATES[found.state]
    names = f"{one_line(endpoint_name(found.tuned))} against {one_line(endpoint_name(found.baseline))}"
    lines: list[Line] = [[(f"{mark} ", tone), (one_line(found.suite), "strong"), (f"  {names}", "")]]
    result = found.result
    if result is not None:
        lines.append(
            [
                ("  fine-tune ", "muted"),
                (f"{result.tuned_passed} of {result.prompts}", "good" if result.gained > result.lost else ""),
                ("   baseline ", "muted"),
                (f"{result.baseline_passed} of {result.prompts}", ""),
                (f"   {result.gained} gained, {result.lost} lost", "bad" if result.lost else ""),
            ]
        )
        lines += [[("  " + line, "")] for line in wrap(result.verdict, width - 2)]
        return lines
    total = 2 * len(found.prompts)
    share = found.done / total if total else None
    lines.append(
        [("  ", ""), *bar(share, max(8, width // 3)), (f"  {found.done} of {total} answers  {found.state}", "")]
    )
    if found.failure:
        lines += [[("  " + line, "bad")] for line in wrap(one_line(found.failure), width - 2)]
    if found.state in ("failed", "stopped"):
        lines.append([("  s goes on where it ended", "muted")])
    return lines
