"""A version to read at a glance: what is in it, from where, how it was split, what each model makes of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from lora_tui.backends import audits
from lora_tui.dataset import versions
from lora_tui.dataset.contamination import changed
from lora_tui.dataset.model import SPLITS, Count, Dataset, Manifest
from lora_tui.jobs.audit import Audited, Bin
from lora_tui.tui.safe_text import fit, moment, one_line
from lora_tui.tui.widgets.conversation_lines import Line
from lora_tui.tui.widgets.wrap import wrap
from lora_tui.tui.wording import base_name, many
from lora_tui.workspace.layout import Workspace

_NAME = 12
_FACT = 13
_NUMBER = 11
_MOST = 12  # lines of the table, folded
_BAR = 24


class Opened(msgspec.Struct, frozen=True):
    """A version with its audits, and the files that are no longer what the manifest says."""

    dataset: Dataset
    audits: tuple[Audited, ...]
    damaged: tuple[str, ...]
    suites_changed: tuple[str, ...]  # that ask something else than when the rows were held against them


def read(workspace: Workspace, dataset: Dataset) -> Opened:
    """Check the files and read what is known of the version."""
    return Opened(
        dataset=dataset,
        audits=tuple(audits.every(dataset)),
        damaged=tuple(versions.damaged_files(dataset)),
        suites_changed=tuple(changed(dataset.manifest.suites, workspace)),
    )


def version_lines(opened: Opened, width: int, folded: bool) -> Iterator[Line]:
    """The manifest's facts, the table of languages, the audits; in the tones of a transcript."""
    manifest = opened.dataset.manifest
    yield [(one_line(opened.dataset.label), "heading"), (f"  built {moment(manifest.created)}", "muted")]
    if opened.damaged:
        yield [(f"changed since it was built: {', '.join(opened.damaged)}", "bad")]
    yield []
    yield from counts_table(manifest.counts, folded)
    yield []
    yield from _leakage(manifest, width)
    if opened.suites_changed:
        text = (
            f"{', '.join(opened.suites_changed)} changed since it was built: the next audit holds the rows against it"
        )
        yield from ([(piece, "found")] for piece in wrap(one_line(text), width))
    for note in manifest.notes:
        yield from ([(piece, "found")] for piece in wrap(one_line(note), width))
    if not manifest.rows.get("validation"):
        yield [("no validation rows: a run will have no eval loss", "found")]
    for audited in opened.audits:
        yield []
        yield from _tokens(audited, width)
    yield []
    for name, value in _facts(manifest).items():
        for number, line in enumerate(wrap(one_line(value), width - _FACT)):
            yield [(("" if number else name).ljust(_FACT), "muted"), (line, "")]


def counts_table(counted: Sequence[Count], folded: bool) -> Iterator[Line]:
    """Language × source × split, the most rows first."""
    heads = "".join(fit(head, _NUMBER, right=True) for head in (*SPLITS, "together"))
    yield [(fit("language", _NAME) + fit("source", _NAME) + heads, "muted")]
    counts = sorted(counted, key=lambda item: (-_together(item), item.language, item.source))
    shown = counts[:_MOST] if folded else counts
    for count in shown:
        yield [
            (fit(one_line(count.language) or "no language", _NAME), "you"),
            (fit(one_line(count.source), _NAME), ""),
            *_numbers(count),
        ]
    if len(counts) > len(shown):
        yield [(f"and {len(counts) - len(shown)} more (z unfolds)", "muted")]
    if len(counts) > 1:
        rows = {name: sum(getattr(count, name) for count in counts) for name in SPLITS}
        yield [(fit("together", 2 * _NAME), ""), *_numbers(Count(language="", source="", **rows))]


def bars(bins: Sequence[Bin], width: int) -> Iterator[Line]:
    """A bar for each bin of a histogram."""
    most = max((item.rows for item in bins), default=0) or 1
    for item in bins:
        filled = "█" * max(1 if item.rows else 0, round(min(_BAR, width - _NAME - 8) * item.rows / most))
        yield [(fit(f"≤ {item.up_to:,}", _NAME), "muted"), (filled, "agent"), (f" {item.rows:,}", "")]


def _together(count: Count) -> int:
    return count.train + count.validation + count.test


def _numbers(count: Count) -> Line:
    numbers = (count.train, count.validation, count.test, _together(count))
    return [("".join(fit(f"{number:,}" if number else "·", _NUMBER, right=True) for number in numbers), "")]


def _leakage(manifest: Manifest, width: int) -> Iterator[Line]:
    found = manifest.leakage
    if not found.test_rows:
        return
    text = (
        f"near-duplicates of train in test: {found.leaked:,} of {many(found.test_rows, 'row')};"
        f" a random split would have {found.at_random:.1%}"
    )
    yield from ([(piece, "bad" if found.leaked else "good")] for piece in wrap(text, width))


def _tokens(audited: Audited, width: int) -> Iterator[Line]:
    """What one tokenizer counts, with the lengths as one bar each."""
    train = audited.train
    share = train.loss_tokens / train.tokens if train.tokens else 0.0
    name = one_line(base_name(audited.base))
    tone = "bad" if audited.errors else "found" if audited.findings else "good"
    told = "no findings" if not audited.findings else ", ".join(dict.fromkeys(item.code for item in audited.findings))
    yield [(fit(name, _NAME * 2), "agent"), (f" max_length {audited.max_length:,}", "muted")]
    text = f"{train.tokens:,} tokens in train, {share:.0%} trained on, longest {train.longest:,}: {told}"
    yield from ([(piece, tone)] for piece in wrap(text, width))
    yield from bars(train.lengths, width)


def _facts(manifest: Manifest) -> Mapping[str, str]:
    left_out = sum(manifest.left_out.values())
    facts = {
        "left out": f"{left_out:,}: {_counted(manifest.left_out)}" if left_out else "nothing",
        "written by": _counted(manifest.by_model),
        "origins": _counted(manifest.by_origin),
        "repositories": _counted(manifest.by_repository),
        "licences": _counted(manifest.by_licence),
        "shape": f"{manifest.recipe.shape}: {manifest.shaping}",
        "redacted": _counted(manifest.findings),
        "suites": ", ".join(manifest.suites),
        "profile": manifest.profile,
        "imported": manifest.imported,
        "split": f"{'/'.join(map(str, manifest.split))}: {manifest.split_rule}",
        "test rows of": f"version {manifest.previous} stayed in test" if manifest.previous else "",
        "seed": str(manifest.seed),
        "hash": manifest.hash,
        "folder": f"datasets/{manifest.name}/{manifest.version} of the workspace",
    }
    return {name: value for name, value in facts.items() if value}


def _counted(counts: Mapping[str, int]) -> str:
    return " · ".join(f"{number:,} {name}" for name, number in _most_first(counts))


def _most_first(counts: Mapping[str, int]) -> Sequence[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
