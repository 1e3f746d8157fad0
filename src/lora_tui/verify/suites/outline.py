"""A suite as a list of prompts with their expectations, for an editor: what stands where, what can be changed."""

from __future__ import annotations

from typing import Any

import msgspec

from lora_tui.jobs.checks import SET, text_of
from lora_tui.verify.suites import edits as suite_edits
from lora_tui.verify.suites import values as suite_values
from lora_tui.verify.suites.edits import Path
from lora_tui.verify.suites.templates import names_in


class Wanted(msgspec.Struct, frozen=True):
    """One expectation as the file has it. `why` it cannot be changed in a form; empty where it can."""

    path: Path
    data: dict[str, Any]
    why: str = ""

    @property
    def type(self) -> str:
        """Its type, as `not-contains`."""
        return str(self.data.get("type", ""))

    @property
    def words(self) -> str:
        """What it expects, in a line."""
        if self.type == SET:
            inner = self.data.get("assert") or []
            return f"{SET} of {len(inner)}"
        value = self.data.get("value")
        shown = value if isinstance(value, str) else suite_values.shown(self.type, value)
        items = map(text_of, value) if isinstance(value, list) else [shown]
        said = " ".join(", ".join(items).split())
        return f"{self.type} {said}".strip()


class Entry(msgspec.Struct, frozen=True):
    """One test of the file. `why` it cannot be changed here; empty where it can."""

    path: Path
    description: str
    asked: str  # what it asks, in short
    vars: dict[str, Any] = {}
    language: str = ""
    threshold: float | None = None
    wanted: tuple[Wanted, ...] = ()
    why: str = ""


class Outline(msgspec.Struct, frozen=True):
    """All of a suite that an editor shows."""

    description: str
    names: tuple[str, ...]  # of the variables that its tests fill in
    entries: tuple[Entry, ...]
    default: Entry  # what holds for every test


def outline(text: str) -> Outline:
    """The outline of a text. Raises BadInput where it is no YAML at all; mistakes within it do not matter."""
    data = suite_edits.plain(text)
    data = data if isinstance(data, dict) else {}
    tests = data.get("tests")
    listed = tests if isinstance(tests, list) else []
    entries = [_entry(data, ("tests", number), test) for number, test in enumerate(listed)]
    if isinstance(tests, str):
        entries = [Entry(("tests",), tests, tests, why=f"its tests stand in {tests}")]
    if data.get("scenarios"):
        entries.append(Entry(("scenarios",), "scenarios", "", why="scenarios are changed in an editor"))
    names = list(dict.fromkeys(name for entry in entries for name in entry.vars)) or _asked_for(data.get("prompts"))
    default = data.get("defaultTest")
    said = _entry(data, ("defaultTest",), default if isinstance(default, dict) else {})
    if isinstance(default, str):
        said = msgspec.structs.replace(said, why=f"it stands in {default}")
    return Outline(str(data.get("description") or ""), tuple(names), tuple(entries), said)


def _asked_for(prompts: Any) -> list[str]:
    """The variables that the prompts of a suite name; those of a file are not looked at."""
    texts = prompts if isinstance(prompts, list) else ["{{prompt}}" if prompts is None else prompts]
    return [name for text in texts for name in names_in(text_of(text))]


def _entry(suite: dict[str, Any], path: Path, test: Any) -> Entry:
    if not isinstance(test, dict):
        return Entry(path, text_of(test), "", why="these tests stand in another file")
    given: dict[str, Any] = _of(test, "vars", dict)
    metadata: dict[str, Any] = _of(test, "metadata", dict)
    items: list[Any] = _of(test, "assert", list)
    threshold = test.get("threshold")
    asked = " ".join(text_of(value) for value in given.values())
    return Entry(
        path,
        description=text_of(test.get("description")) or " ".join(asked.split())[:60],
        asked=asked,
        vars=dict(given),
        language=text_of(metadata.get("language")),
        threshold=float(threshold) if isinstance(threshold, int | float) else None,
        wanted=tuple(_wanted(suite, (*path, "assert", number), item) for number, item in enumerate(items)),
    )


def _of(test: dict[str, Any], key: str, kind: type[Any]) -> Any:
    found = test.get(key)
    return found if isinstance(found, kind) else kind()


def _wanted(suite: dict[str, Any], path: Path, item: Any) -> Wanted:
    if not isinstance(item, dict):
        return Wanted(path, {"type": text_of(item)}, "it is no mapping")
    if "$ref" in item:
        named: Any = suite
        for name in str(item["$ref"]).removeprefix("#/").split("/"):
            named = named.get(name) if isinstance(named, dict) else None
        own = {key: value for key, value in item.items() if key != "$ref"}
        return Wanted(path, {**(named if isinstance(named, dict) else {}), **own}, f"it stands at {item['$ref']}")
    return Wanted(path, item, "a set is changed in an editor" if item.get("type") == SET else "")
