"""Whether an address, a home folder or a number says who somebody is."""

from __future__ import annotations

import ipaddress
import re

from lora_tui.curation.redact_rules import words

_NOBODYS_DOMAIN = re.compile(
    r"(?:^|\.)(?:example\.(?:com|org|net)|example|test|invalid|localhost|local|users\.noreply\.github\.com)$"
)
_VERSION = re.compile(
    r"version|\bver\b|\bv\.?$|release|build|[a-z]/$|[~^]$|oid|==|>=|<=|~>|\brev|chrome|safari|section|§|sdk"
)


def email(match: re.Match[str], value: str) -> bool:
    """An address that may be a person's: no example domain, no robot, no file name, no decorator."""
    local, _, domain = value.lower().rpartition("@")
    ending = domain.rpartition(".")[2]
    if local in words("robots") or local.startswith(("noreply", "no-reply", "donotreply", "do-not-reply")):
        return False
    if _NOBODYS_DOMAIN.search(domain) or ending in words("file_endings"):
        return False
    return len(ending) == 2 or ending in words("domains")


def home(match: re.Match[str], value: str) -> bool:
    """A home folder named after somebody."""
    return value.lower() not in words("shared_homes") and not value.endswith((".tsx", ".ts", ".js", ".jsx", ".html"))


def ipv4(match: re.Match[str], value: str) -> bool:
    """An address on the internet; no version number, no documentation address, no well-known resolver."""
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return False
    first, *_, last = value.split(".")
    if not address.is_global or address.is_multicast or value in words("resolvers"):
        return False
    if last == "0" or ".0.0." in value or int(first) < 3 or value.startswith("3.6.1."):  # networks, versions, OIDs
        return False
    before = match.string[max(0, match.start() - 24) : match.start()].lower()
    return before.endswith("://") or not _VERSION.search(before)


def ipv6(match: re.Match[str], value: str) -> bool:
    """An address on the internet; no date with a time, no documentation address."""
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return False
    return address.is_global and value.count(":") >= 3
