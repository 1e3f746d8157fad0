"""Validation by a JSON Schema, as far as draft 7 is used in tests/data: enough to say where a document breaks it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_TYPES: dict[str, Any] = {"string": str, "object": dict, "array": list, "boolean": bool}
_KNOWN = {"$schema", "$ref", "definitions", "type", "enum", "const", "anyOf", "items", "properties", "required"}
_KNOWN |= {"additionalProperties"}


def broken(value: Any, schema: dict[str, Any], root: dict[str, Any], place: str = "$") -> Iterator[str]:
    """What in `value` the schema does not allow. Raises ValueError for a keyword that is not implemented."""
    if unknown := set(schema) - _KNOWN:
        raise ValueError(f"not implemented: {unknown}")
    if "$ref" in schema:
        yield from broken(value, root["definitions"][schema["$ref"].rpartition("/")[2]], root, place)
    if "anyOf" in schema:
        ways = [list(broken(value, way, root, place)) for way in schema["anyOf"]]
        if all(ways):
            yield min(ways, key=len)[0]
    if not _fits(value, schema):
        yield f"{place}: {value!r} is no {schema.get('type', 'allowed value')}"
        return
    if isinstance(value, dict):
        yield from (f"{place}: {name} is missing" for name in schema.get("required", ()) if name not in value)
        for name, item in value.items():
            inner = schema.get("properties", {}).get(name, schema.get("additionalProperties", {}))
            if inner is False:
                yield f"{place}: {name} is not allowed"
            else:
                yield from broken(item, inner, root, f"{place}.{name}")
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from broken(item, schema.get("items", {}), root, f"{place}[{number}]")


def _fits(value: Any, schema: dict[str, Any]) -> bool:
    if ("const" in schema and value != schema["const"]) or ("enum" in schema and value not in schema["enum"]):
        return False
    kind = schema.get("type")
    if kind in ("number", "integer"):
        return not isinstance(value, bool) and isinstance(value, int if kind == "integer" else int | float)
    return kind is None or isinstance(value, _TYPES[kind])
