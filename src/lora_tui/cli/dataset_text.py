"""A dataset version as text for people, in 80 columns, and as plain data."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

import msgspec

from lora_tui.cli.output import table
from lora_tui.dataset.model import SPLITS, Dataset, Manifest
from lora_tui.jobs.audit import Audited

_WIDTH = 80
_INDENT = 13
_REASONS = 12  # shown; `dataset rejected` lists the others
_NAMED = 8


def version_data(dataset: Dataset) -> dict[str, object]:
    """The manifest with the version's label and folder."""
    data: dict[str, object] = msgspec.to_builtins(dataset.manifest)
    manifest = dataset.manifest
    sums = {"by_language": manifest.by_language, "by_source": manifest.by_source}
    return {"label": dataset.label, "folder": str(dataset.folder), **data, **sums}


def version_text(dataset: Dataset, audits: Sequence[Audited] = (), suites_changed: Sequence[str] = ()) -> str:
    """What is in it, from where, how it was split, and what each tokenizer counts.

    suites_changed: those that ask something else than when the rows were held against them.
    """
    manifest = dataset.manifest
    lines = [f"{dataset.label}: " + ", ".join(f"{manifest.rows.get(name, 0):,} {name}" for name in SPLITS), ""]
    lines += [_table(manifest), ""]
    lines += _said("rows", f"{_counted(manifest.by_shape)}; {manifest.shaping}")
    lines += _said("origins", _counted(manifest.by_origin))
    lines += _said("repositories", _counted(manifest.by_repository))
    lines += _said("licences", _counted(manifest.by_licence))
    lines += _said("written by", _counted(manifest.by_model))
    lines += _said("redacted", _counted(manifest.findings) or "nothing")
    lines += _said("left out", f"{sum(manifest.left_out.values()):,}" if manifest.left_out else "nothing")
    lines += [f"  {number:>9,}  {reason}" for reason, number in _most_first(manifest.left_out)[:_REASONS]]
    shares = "/".join(map(str, manifest.split))
    lines += _said("split", f"{shares}: {manifest.split_rule}; seed {manifest.seed}")
    lines += _said("leakage", _leakage(manifest))
    lines += _said("suites", f"held against {', '.join(manifest.suites)}" if manifest.suites else "")
    if suites_changed:
        told = f"{', '.join(suites_changed)} changed since: the next audit holds the rows against what they ask now"
        lines += _said("note", told)
    lines += _said("imported", manifest.imported)
    for note in manifest.notes:
        lines += _said("note", note)
    if terms := [model for model in manifest.by_model if model != "unknown"]:
        told = f"some providers do not allow training on what their models wrote: check the terms of {', '.join(terms)}"
        lines += _said("note", told)
    if not manifest.rows.get("validation"):
        lines += _said("note", "no validation rows: the run will have no eval loss")
    for audited in audits:
        lines += _said("tokens", _tokens(audited))
    lines.append(f"{'folder':<{_INDENT}}{dataset.folder}")
    return "\n".join(lines)


def _table(manifest: Manifest) -> str:
    """Language × source × split, the most rows first."""
    rows = [
        (item.language or "-", item.source or "-", item.train, item.validation, item.test)
        for item in sorted(
            manifest.counts, key=lambda item: (-(item.train + item.validation + item.test), item.language, item.source)
        )
    ]
    if len(rows) > 1:
        rows.append(("all", "", *(manifest.rows.get(name, 0) for name in SPLITS)))  # type: ignore[arg-type]
    return table([(*row, sum(row[2:])) for row in rows], ("language", "source", *SPLITS, "together"), empty="no rows")


def _leakage(manifest: Manifest) -> str:
    found = manifest.leakage
    if not found.test_rows:
        return ""
    return (
        f"{found.leaked:,} of {found.test_rows:,} test rows have a near-duplicate in train"
        f" ({found.leaked / found.test_rows:.1%}); of a random split {found.at_random:.1%} would;"
        f" {found.pairs:,} {'pair' if found.pairs == 1 else 'pairs'} of near-duplicates kept together"
    )


def _tokens(audited: Audited) -> str:
    train = audited.train
    share = train.loss_tokens / train.tokens if train.tokens else 0.0
    found = ", ".join(dict.fromkeys(item.code for item in audited.findings)) or "no findings"
    return (
        f"{audited.base}, max_length {audited.max_length:,}: {train.tokens:,} in train, {share:.0%} of them trained on,"
        f" longest row {train.longest:,}; {found}"
    )


def _said(title: str, text: str) -> Iterator[str]:
    """The text beside its title; nothing where there is none."""
    wrapped = textwrap.wrap(text, _WIDTH - _INDENT, break_on_hyphens=False, break_long_words=False)
    for number, line in enumerate(wrapped):
        yield f"{'' if number else title:<{_INDENT}}{line}"


def _counted(counts: dict[str, int]) -> str:
    """The most first."""
    named = [f"{number:,} {name}" for name, number in _most_first(counts)]
    more = [f"{len(named) - _NAMED:,} more"] if len(named) > _NAMED else []
    return ", ".join([*named[:_NAMED], *more])


def _most_first(counts: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
