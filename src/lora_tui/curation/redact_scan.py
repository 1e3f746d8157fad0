"""Where the rules apply in a text.

Two passes keep this fast: literals are searched for first (str.find; prefixes of tokens only in the few long runs of
token characters), and a pattern is tried only where a literal of it stands. Measured: benchmarks/redact.py.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from lora_tui.curation.redact_checks import CHECKS
from lora_tui.curation.redact_decode import Decoded, decoded
from lora_tui.curation.redact_rules import Active, Rule
from lora_tui.curation.redact_values import entropy

_RUN = re.compile(r"\b\w[\w.-]{19,}", re.ASCII)
_NAME = re.compile(r"[a-z_.]+")  # of a function or a module: no token looks so
_DIGITS = re.compile(r"\d[\w.-]*?\d[\w.-]*?\d", re.ASCII)
_AHEAD = 400  # how far after its keyword a match with something before the keyword may begin and be seen


class Hit(NamedTuple):
    """text[start:end] is what a rule found."""

    start: int
    end: int
    rule: Rule


def scan(text: str, rules: Active) -> list[Hit]:
    """What the rules find, in order and without overlaps; also in a text that is escaped or coloured."""
    hits = _plain(text, rules)
    inner = decoded(text)
    if inner is not None:
        hits += [_outside(hit, inner) for hit in _plain(inner.text, rules)]
    return _apart(hits, rules.order) if hits else hits


def _plain(text: str, rules: Active) -> list[Hit]:
    lower = text.replace("\u0130", "i").lower()  # the one letter whose small form is longer
    hits: list[Hit] = []
    for gate, keywords in rules.loose:
        if gate in lower:
            for keyword, about in keywords:
                _tried(text, lower, keyword, about, hits)
    runs = [run for run in _RUN.findall(text) if not _NAME.fullmatch(run)]
    if runs:
        joined = "\n".join(runs)
        tokens = joined.lower()
        for keyword, about in rules.tight:
            if keyword in tokens:
                _tried(text, lower, keyword, about, hits)
        if _DIGITS.search(tokens):
            for keyword, about in rules.named:
                _tried(text, lower, keyword, about, hits)
    patterns = [rule for rule in rules.run_patterns if runs and rule.compiled.search(joined)]
    for rule in (*patterns, *rules.patterns):
        for found in rule.compiled.finditer(text):
            _add(found, rule, hits)
    return hits


def _tried(text: str, lower: str, keyword: str, rules: list[Rule], hits: list[Hit]) -> None:
    """Try each rule wherever the keyword stands; a match is not looked at twice."""
    ends = [0] * len(rules)
    at = lower.find(keyword)
    while at >= 0:
        for index, rule in enumerate(rules):
            if at < ends[index]:
                continue
            if rule.before:
                first = rule.compiled.search(text, max(ends[index], at - rule.before), at + _AHEAD)
                # The end of that window may have cut it short.
                found = rule.compiled.match(text, first.start()) if first is not None else None
            else:
                found = rule.compiled.match(text, at)
            if found is not None:
                _add(found, rule, hits)
                ends[index] = max(at + 1, found.end())
        at = lower.find(keyword, at + 1)


def _add(found: re.Match[str], rule: Rule, hits: list[Hit]) -> None:
    group = rule.group if rule.group and found.group(rule.group) is not None else 0
    value = found.group(group)
    if rule.entropy and entropy(value) < rule.entropy:
        return
    if CHECKS[rule.check](found, value):
        hits.append(Hit(found.start(group), found.end(group), rule))


def _outside(hit: Hit, inner: Decoded) -> Hit:
    return Hit(inner.start(hit.start), inner.end(hit.end), hit.rule)


def _apart(hits: list[Hit], order: dict[str, int]) -> list[Hit]:
    """Overlapping secrets become one, named by the rule that stands first; personal data gives way to secrets."""
    secrets = _joined([hit for hit in hits if hit.rule.kind == "secret"], order)
    personal = _joined([hit for hit in hits if hit.rule.kind == "personal"], order)
    free = [hit for hit in personal if not any(hit.start < one.end and one.start < hit.end for one in secrets)]
    return sorted([*secrets, *free], key=lambda one: one.start) if free else secrets


def _joined(hits: list[Hit], order: dict[str, int]) -> list[Hit]:
    apart: list[Hit] = []
    for hit in sorted(hits, key=lambda one: (one.start, -one.end)):
        if apart and hit.start < apart[-1].end:
            last = apart[-1]
            rule = min(last.rule, hit.rule, key=lambda one: order[one.id])
            apart[-1] = Hit(last.start, max(last.end, hit.end), rule)
        else:
            apart.append(hit)
    return apart
