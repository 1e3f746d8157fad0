"""Under which licence a repository is, as far as its files say: SPDX ids, '' when they do not."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping

import msgspec

from lora_tui.sources.git.filters import table

_TEXT = re.compile(r"^(licen[sc]e|copying|unlicen[sc]e|mit-licen[sc]e)([-._].*)?$", re.IGNORECASE)
_GEMSPEC = re.compile(r"\.licen[sc]es?\s*=\s*\[?\s*['\"]([\w.+ -]{2,60})['\"]")
_SPDX = re.compile(r"^[A-Za-z0-9.+-]+( (OR|AND|WITH) [A-Za-z0-9.+-]+)*$")
_MANIFESTS = ("package.json", "Cargo.toml", "pyproject.toml", "composer.json")


def concerns(name: str) -> bool:
    """Whether a file of the root folder may say the licence."""
    return bool(_TEXT.match(name)) or name in _MANIFESTS or name.endswith(".gemspec")


def licence(files: Mapping[str, str]) -> str:
    """The SPDX expression from the files of the root folder (name → text): manifests say it best, then the texts."""
    for name in sorted(files):
        said = _SPDX.match(_manifest(name, files[name]).replace("/", " OR ").strip())
        if said:
            return said.group(0)
    found = {recognised(files[name]) for name in files if _TEXT.match(name)} - {""}
    return " OR ".join(sorted(found))


def recognised(text: str) -> str:
    """The licence whose phrases occur in `text`."""
    plain = " ".join(text.lower().split())
    return next((row.id for row in table().licence if all(phrase in plain for phrase in row.phrases)), "")


def _manifest(name: str, text: str) -> str:
    try:
        if name.endswith(".json"):
            data = msgspec.json.decode(text)
            said = data.get("license")
        elif name == "Cargo.toml":
            data = tomllib.loads(text)
            said = data.get("package", data.get("workspace", {}).get("package", {})).get("license")
        elif name == "pyproject.toml":
            said = tomllib.loads(text).get("project", {}).get("license")
        elif name.endswith(".gemspec"):
            found = _GEMSPEC.search(text)
            said = found.group(1) if found else ""
        else:
            return ""
    except (msgspec.DecodeError, tomllib.TOMLDecodeError, AttributeError):
        return ""
    if isinstance(said, dict):
        said = said.get("text") or ""
    return said if isinstance(said, str) else ""
