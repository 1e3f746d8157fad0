"""The conditions that a rule of rules/secrets.toml can name beside its pattern."""

from __future__ import annotations

import re
from collections.abc import Callable

from lora_tui.curation import redact_values as values
from lora_tui.curation.redact_assigned import assigned, says_nothing
from lora_tui.curation.redact_personal import email, home, ipv4, ipv6

Check = Callable[[re.Match[str], str], bool]  # the match, and the part that would be replaced

_VARIABLE = re.compile(r"[$<{%*\[(:]|\.{2,}|x{3,}", re.I)
_EXPRESSION = re.compile(r"\$\{|\{\{|\(|#\{|[{}]")


def not_masked(match: re.Match[str], value: str) -> bool:
    """No stand-in."""
    return not values.masked(value)


def mixed(match: re.Match[str], value: str) -> bool:
    """Letters and digits, and not words."""
    return values.mixed(value)


def mixed_case(match: re.Match[str], value: str) -> bool:
    """`mixed`, with small letters and capitals."""
    return values.mixed(value) and value.lower() != value != value.upper()


def shuffled(match: re.Match[str], value: str) -> bool:
    """Small letters and capitals in no order that a name would have."""
    return not values.masked(value) and values.shuffled(value)


def strong(match: re.Match[str], value: str) -> bool:
    """A password that somebody chose: no stand-in, no word, no expression."""
    if says_nothing(value, quoted=False) or values.entropy(value) < 2.5:
        return False
    return values.has_signs(value) or values.mixed(value)


def url_password(match: re.Match[str], value: str) -> bool:
    """The password in user:password@host: none that every manual shows, no variable, no port."""
    if values.usual(value) or values.masked(value) or value.isdigit() or len(value) < 4:
        return False
    return not _VARIABLE.match(value) and not _EXPRESSION.search(value)


CHECKS: dict[str, Check] = {
    check.__name__: check
    for check in (not_masked, mixed, mixed_case, shuffled, strong, url_password, assigned, email, home, ipv4, ipv6)
}
