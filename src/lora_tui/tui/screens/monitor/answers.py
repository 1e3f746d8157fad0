"""The answers so far: one prompt's, step by step, so that they are seen to change as the loss falls."""

from __future__ import annotations

from collections.abc import Sequence

from lora_tui.jobs.journal import Evaluation, Sample
from lora_tui.tui.safe_text import fit, one_line, plain
from lora_tui.tui.widgets.live_lines import Line, Piece
from lora_tui.tui.widgets.wrap import wrap


def prompts(samples: Sequence[Sample]) -> list[str]:
    """The prompts that were answered, in the order they came up."""
    return list(dict.fromkeys(sample.prompt for sample in samples))


def lines(
    samples: Sequence[Sample], evaluations: Sequence[Evaluation], prompt: int, step: float | None, width: int
) -> list[Line]:
    """The answer to prompt number `prompt` at the newest step not after `step` (None: the newest there is)."""
    asked = prompts(samples)
    if not asked:
        return [[(" no answers yet: they come at every evaluation", "muted")]]
    text = asked[prompt % len(asked)]
    given = [sample for sample in samples if sample.prompt == text]
    chosen = max((sample for sample in given if step is None or sample.step <= step), key=_step, default=given[0])
    head = f" {prompt % len(asked) + 1}/{len(asked)} " if len(asked) > 1 else " "
    shown: list[Line] = [[(fit(head + one_line(text), width).rstrip(), "strong")]]
    shown.append(_history(given, chosen, evaluations, width))
    shown += [
        [(f" ✗ {one_line(check.expectation)} {one_line(check.detail)}".rstrip(), "bad")]
        for check in chosen.checks
        if not check.passed and not check.not_run
    ]
    for line in filter(str.strip, plain(chosen.answer).splitlines()):
        shown += [[(f"   {piece}", "")] for piece in wrap(line, width - 4)]
    return shown


def _history(given: Sequence[Sample], chosen: Sample, evaluations: Sequence[Evaluation], width: int) -> Line:
    """step 20 0/2 · step 40 1/2 · …, the chosen one in brackets; as many of the last as fit up to it."""
    losses = {item.step: item.eval_loss for item in evaluations}
    words: list[Piece] = []
    for sample in given:
        met = sum(check.passed for check in sample.checks)
        mark = f" {met}/{len(sample.checks)}" if sample.checks else ""
        loss = f" (eval {losses[sample.step]:.3g})" if sample is chosen and sample.step in losses else ""
        text = f"[{sample.step}{mark}{loss}]" if sample is chosen else f"{sample.step}{mark}"
        tone = "muted" if not sample.checks else "good" if met == len(sample.checks) else "warn"
        words.append((text, "primary" if sample is chosen else tone))
        if sample is chosen:
            last = len(words)
    while last > 1 and sum(len(text) + 3 for text, _ in words[:last]) > width - 7:
        words.pop(0)
        last -= 1
    line: list[Piece] = [(" step ", "muted")]
    room = width - 7
    for number, (text, tone) in enumerate(words):
        room -= len(text) + 3
        if room < 0:
            break
        line += [(" · ", "faint")] if number else []
        line.append((text, tone))
    return line


def _step(sample: Sample) -> int:
    return sample.step


def page(samples: Sequence[Sample]) -> str:
    """Every answer to every prompt, for reading."""
    parts: list[str] = []
    for text in prompts(samples):
        parts.append(f"━━ {one_line(text)}")
        for sample in samples:
            if sample.prompt == text:
                met = sum(check.passed for check in sample.checks)
                checked = f", {met} of {len(sample.checks)} expectations met" if sample.checks else ""
                parts.append(f"\nstep {sample.step}{checked}")
                parts += [
                    f"  ✗ {check.expectation} {check.detail}"
                    for check in sample.checks
                    if not check.passed and not check.not_run
                ]
                parts += [f"    {line}" for line in sample.answer.strip().splitlines()]
        parts.append("")
    return "\n".join(parts) or "No answers yet: they come at every evaluation."
