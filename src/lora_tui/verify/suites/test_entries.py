"""Tests that stand in files beside a suite: YAML, JSON, JSON lines, and tables with `__expected` columns.

The columns and what stands in them are promptfoo's (its CSV test cases): `__expected`, `__expected2`, …,
`__description`, `__prefix`, `__suffix`, `__threshold`, `__metric`, `__metadata:NAME` (`NAME[]` for a list),
`__config:__expected2:threshold`; every other column is a var.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from lora_tui.jobs.checks import CARRIED, KINDS
from lora_tui.verify.suites import nodes as suite_nodes
from lora_tui.verify.suites import texts as suite_texts
from lora_tui.workspace.errors import BadInput

_KINDS = "|".join(sorted(map(re.escape, {*KINDS, *CARRIED}), key=len, reverse=True))
_SHORT = re.compile(rf"((?:not-)?({_KINDS}))(?:\((\d+(?:\.\d+)?)\))?(?::(.*))?", re.S)
_SHORTER = {"fn": "javascript", "eval": "javascript", "grade": "llm-rubric"}
_GRADED = {"cost", "latency", "levenshtein", "rouge-n", "similar", "classifier", "perplexity", "perplexity-score"}
_GRADED |= {"answer-relevance", "context-faithfulness", "context-recall", "context-relevance"}
_USUAL = 0.75  # promptfoo's threshold of these where a table names none
_LISTS = ("contains-all", "contains-any", "icontains-all", "icontains-any")


def within(node: yaml.Node, folder: Path) -> Iterator[yaml.Node]:
    """The tests of a list; a text in it, or instead of it, names files of tests. Raises BadInput."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from within(item, folder) if isinstance(item, yaml.ScalarNode) else _one(item, folder)
    elif isinstance(node, yaml.ScalarNode):
        yield from _named(node, str(node.value), folder)
    else:
        yield from _one(node, folder)


def _one(node: yaml.Node, folder: Path) -> Iterator[yaml.Node]:
    """The test itself, or those that `{path: FILE}` names."""
    keys = {key.value: value for key, value in node.value} if isinstance(node, yaml.MappingNode) else {}
    if "path" in keys and set(keys) <= {"path", "config"}:
        yield from _named(keys["path"], str(keys["path"].value), folder)
    else:
        yield node


def _named(node: yaml.Node, name: str, folder: Path) -> Iterator[yaml.Node]:
    try:
        names = suite_texts.named(f"file://{name.removeprefix('file://')}", folder)
    except ValueError as error:
        raise suite_nodes.wrong(node, str(error)) from error
    for found in names:
        path = folder / found.removeprefix("file://")
        if path.suffix in (".yaml", ".yml"):
            root = suite_nodes.read(path)
            if root is not None:
                yield from within(root, folder)
        elif path.suffix in _READERS:
            try:
                text = path.read_text(encoding="utf-8-sig")
            except (OSError, UnicodeDecodeError) as error:
                raise suite_nodes.wrong(node, f"cannot read {name!r}: {error}") from error
            for line, test in _READERS[path.suffix](text, path):
                yield suite_nodes.of(test, path, line)
        else:
            kinds = ", ".join((".yaml", *_READERS))
            raise suite_nodes.wrong(node, f"of tests only files are read ({kinds}), not {name!r}: code is not executed")


def _json(text: str, path: Path) -> Iterator[tuple[int, Any]]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise BadInput(f"not valid JSON: {error}", where=str(path)) from error
    if not isinstance(value, list):
        yield 1, value
        return
    place = text.index("[") + 1
    decoder = json.JSONDecoder()
    for _ in value:
        place += len(text[place:]) - len(text[place:].lstrip(" \t\r\n,"))
        item, end = decoder.raw_decode(text, place)
        yield text.count("\n", 0, place) + 1, item
        place = end


def _json_lines(text: str, path: Path) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except ValueError as error:
                raise BadInput(f"not valid JSON: {error}", where=f"{path}:{number}") from error


def _table(text: str, path: Path) -> Iterator[tuple[int, Any]]:
    rows = csv.reader(io.StringIO(text, newline=""))
    names = [name.strip() for name in next(rows, [])]
    line = rows.line_num + 1
    for row in rows:
        if any(row):
            try:
                yield line, test_of(dict(zip(names, row, strict=False)))
            except ValueError as error:
                raise BadInput(str(error), where=f"{path}:{line}") from error
        line = rows.line_num + 1


def test_of(row: dict[str, str]) -> dict[str, Any]:
    """The test of a row of a table. Raises ValueError for a column it does not know."""
    test: dict[str, Any] = {"vars": {}, "assert": [], "options": {}, "metadata": {}}
    expected: dict[int, dict[str, Any]] = {}
    for name, cell in row.items():
        if number := re.fullmatch(r"__expected(\d*)", name):
            if cell.strip():
                expected.setdefault(int(number[1] or 1), {}).update(expectation_of(cell.strip()))
        elif name.startswith("__metadata:") and cell.strip():
            key = name.removeprefix("__metadata:")
            listed = [part.strip().replace("\\,", ",") for part in re.split(r"(?<!\\),", cell)]
            test["metadata"][key.removesuffix("[]")] = listed if key.endswith("[]") else cell
        elif not name.startswith("__"):
            test["vars"][name] = cell
        elif name in ("__prefix", "__suffix"):
            test["options"][name[2:]] = cell
        elif name == "__description" and cell:
            test["description"] = cell
        elif name == "__threshold" and cell.strip():
            test["threshold"] = float(cell)
        elif not re.fullmatch(r"__(metric|metadata:.*|description|threshold|config:__expected\d*:threshold)", name):
            raise ValueError(f"unknown column {name!r} of a table of tests")
    for name, cell in row.items():
        if (number := re.fullmatch(r"__config:__expected(\d*):threshold", name)) and cell.strip():
            expected.get(int(number[1] or 1), {})["threshold"] = float(cell)
    metric = {"metric": row["__metric"]} if row.get("__metric") else {}
    test["assert"] = [{**expected[number], **metric} for number in sorted(expected)]
    return {name: value for name, value in test.items() if value}


def expectation_of(text: str) -> dict[str, Any]:
    """An expectation as a table writes it: `icontains-any:a,b`, `similar(0.8):hello`; other text must be equalled."""
    kind, colon, value = text.partition(":")
    if colon and kind in _SHORTER:
        return {"type": _SHORTER[kind], "value": value.strip()}
    if script := re.fullmatch(r"file://.+\.(?:(py)|[cm]?[jt]s)(?::\w+)?", text):
        return {"type": "python" if script[1] else "javascript", "value": text}
    found = _SHORT.fullmatch(text)
    if found is None:
        return {"type": "equals", "value": text}
    name, kind, threshold, value = found.groups()
    made: dict[str, Any] = {"type": name}
    if value is not None:
        quoted = next(csv.reader([value], skipinitialspace=True), [])
        made["value"] = [item.strip() for item in quoted] if kind in _LISTS else value.strip()
    if kind in _GRADED:
        made["threshold"] = float(threshold) if threshold else _USUAL
    return made


_READERS = {".csv": _table, ".json": _json, ".jsonl": _json_lines}
