"""What of a dataset is trained on: rows left out and why, rows in parts, and how little or how much carries loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lora_tui.jobs.audit import Cut, Finding, LeftOut, Reason
from lora_tui.worker.findings.named import Named, many

# reason -> code, what it is, what to do
_LEFT_OUT: dict[Reason, tuple[str, str, str]] = {
    "too_long": (
        "too-long",
        "{rows} [does|do] not fit max_length {max_length} even when split (the longest has {longest} tokens) and "
        "[is|are] left out, in whole or in part",
        "Raise training.max_length, or lower data.cap and data.context and build again.",
    ),
    "no_loss": (
        "no-loss",
        "{rows} [holds|hold] only context: no answer with weight 1, so nothing is learned from them",
        "Nothing, or reject these examples and build again; in an imported file, give an answer of each row weight 1.",
    ),
    "all_loss": (
        "all-loss",
        "{rows} [has|have] no prompt: every token would be trained on, so [it is|they are] left out",
        "Give these rows a user message.",
    ),
    "not_text": (
        "not-text",
        "{rows} [holds|hold] pictures or files, which a text model cannot be given, and [is|are] left out",
        "Nothing, or build from text alone.",
    ),
    "not_rendered": (
        "not-rendered",
        "{rows} [is|are] refused by the base's chat template and left out: {about}",
        "Choose a base whose template takes such conversations, or another data.shape.",
    ),
    "rewritten": (
        "rewritten",
        "{rows} [has|have] turns that the base's chat template changes afterwards, and [is|are] left out",
        "Choose a base whose template only appends.",
    ),
}


def left_out_findings(left_out: Sequence[LeftOut], max_length: int) -> list[Finding]:
    """A warning per reason."""
    found: list[Finding] = []
    for reason, (code, message, fix) in _LEFT_OUT.items():
        named = Named()
        of_reason = [item for item in left_out if item.reason == reason]
        for item in of_reason:
            named.add(item.id)
        longest = max((item.tokens for item in of_reason), default=0)
        about = next((item.about for item in of_reason if item.about), "no reason is given")
        said = (
            message.replace("{max_length}", f"{max_length:,}")
            .replace("{longest}", f"{longest:,}")
            .replace("{about}", about)
        )
        found += named.finding("warning", code, said, fix)
    return found


def nothing_left(kept: int, left_out: Sequence[LeftOut], rows: int) -> list[Finding]:
    """Errors where no row of train is trained on."""
    if kept:
        return []
    of_train = [item for item in left_out if item.split == "train"]
    if of_train and all(item.reason == "all_loss" for item in of_train):
        message = "every token of every row would be trained on, the questions too"
        fix = "The base's chat template has no turns; use the instruct variant of the model."
        return [Finding("error", "everything-trained", message, count=len(of_train), fix=fix)]
    message = f"no row of train can be trained on: {many(rows)}, all left out" if rows else "train is empty"
    fix = "See the warnings; raise training.max_length, or accept more examples and build the dataset again."
    return [Finding("error", "nothing-to-train", message, count=rows, fix=fix)]


def cut_findings(cut: Sequence[Cut]) -> list[Finding]:
    """A note on rows trained on in parts."""
    named = Named()
    for item in cut:
        named.add(item.id)
    inside = sum(item.at == "edit" for item in cut)
    told = f", {inside:,} of them at an edit inside a turn" if inside else ""
    return named.finding(
        "note",
        "split-rows",
        "{rows} [is|are] longer than max_length and trained on in parts, split at a user turn"
        + told
        + "; no answer is cut",
        "Raise training.max_length to train on them whole.",
    )


def validation_findings(rows: Mapping[str, int]) -> list[Finding]:
    """A warning where overfitting will not be seen."""
    if rows.get("validation"):
        return []
    message = "there is no validation split: overfitting will not be seen"
    return [Finding("warning", "no-validation", message, fix="Build with a share for validation, such as 80/10/10.")]


def share_findings(loss_tokens: int, tokens: int, least: float = 0.02) -> list[Finding]:
    """A note where nearly everything that is computed is context."""
    if not tokens or loss_tokens / tokens >= least:
        return []
    message = f"only {loss_tokens / tokens:.1%} of the tokens carry loss: most of the time goes into reading context"
    return [Finding("note", "low-loss-share", message, fix="Lower data.cap and data.context, or use data.shape plain.")]


def pad_findings(*, had_pad: bool, pad_is_eos: bool, eos: str) -> list[Finding]:
    """What is to be known about padding."""
    if not had_pad:
        message = f"the tokenizer has no pad token; {eos or 'eos'} is used to fill batches, masked by position"
        fix = "Nothing here; other trainers mask by token and would then never teach the model to stop."
        return [Finding("warning", "no-pad-token", message, fix=fix)]
    if pad_is_eos:
        message = f"the tokenizer's pad token is its eos, {eos}; harmless here, where padding is masked by position"
        fix = "Nothing here; a trainer that masks by token would never teach the model to stop."
        return [Finding("note", "pad-is-eos", message, fix=fix)]
    return []
