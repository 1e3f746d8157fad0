"""A value is put into settings with comments: everything else stays as a person wrote it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_tui.adapters.wiring.edits import add, find, put, undo
from lora_tui.adapters.wiring.jsonc import parse
from lora_tui.workspace.errors import BadInput

_BLOCK = {"npm": "package", "models": {"rust": {"limit": {"context": 32768}, "tool_call": True}}}
_COMMENTS = re.compile(r'"(?:[^"\\]|\\.)*"|(//[^\r\n]*|/\*.*?\*/)', re.S)
_TRIVIA = re.compile(r"(?:[ \t\r\n]|//[^\r\n]*|/\*.*?\*/)*", re.S)


def _comments(text: str) -> list[str]:
    return [found[1] for found in _COMMENTS.finditer(text) if found[1]]


def _plain(text: str) -> Any:
    root = parse(text)
    assert root is not None
    return root.plain


_words = st.text(st.sampled_from('abc /*"\\{}[],:é😀\t'), max_size=6)
_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False, allow_infinity=False) | _words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_words, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def _texts(draw: st.DrawFn) -> str:
    """An object as a person may write it: comments, odd white space, trailing commas, both kinds of line ends."""
    newline = draw(st.sampled_from(["\n", "\r\n"]))

    def gap() -> str:
        return "".join(
            draw(
                st.lists(
                    st.sampled_from(["", " ", "\t", newline, f'// x, "{newline}', "/* {y */", f"/* z{newline} */"]),
                    max_size=2,
                )
            )
        )

    def written(value: Any) -> str:
        if isinstance(value, dict | list) and value:
            pairs = (
                [
                    f"{gap()}{json.dumps(key, ensure_ascii=False)}{gap()}:{gap()}{written(item)}{gap()}"
                    for key, item in value.items()
                ]
                if isinstance(value, dict)
                else [f"{gap()}{written(item)}{gap()}" for item in value]
            )
            text = ",".join(pairs) + draw(st.sampled_from(["", f",{gap()}"]))
        elif isinstance(value, dict | list):
            text = gap()
        else:
            return json.dumps(value, ensure_ascii=draw(st.booleans()))
        return f"{{{text}}}" if isinstance(value, dict) else f"[{text}]"

    return gap() + written(draw(st.dictionaries(_words, _values, max_size=4))) + gap()


@settings(max_examples=150, deadline=None)
@given(text=_texts(), path=st.sampled_from([("provider", "lora"), ("a",), ("provider",)]), first=st.booleans())
def test_only_what_is_put_changes_and_it_can_be_taken_out_again(text: str, path: tuple[str, ...], first: bool) -> None:
    before = _plain(text)
    inside = before
    for key in path[:-1]:
        inside = inside.get(key, {}) if isinstance(inside, dict) else None
    if not isinstance(inside, dict):
        with pytest.raises(BadInput):
            put(text, path, _BLOCK, first=first)
        return
    changed, done = put(text, path, _BLOCK, first=first)
    expected = json.loads(json.dumps(before))
    box = expected
    for key in path[:-1]:
        box = box.setdefault(key, {})
    was = box.get(path[-1])
    box[path[-1]] = {**was, **_BLOCK} if isinstance(was, dict) else _BLOCK
    assert _plain(changed) == expected
    if path[-1] not in inside:  # nothing was there: text is only put in, between what was there
        assert _comments(changed) == _comments(text)
        start = next((i for i, (a, b) in enumerate(zip(text, changed, strict=False)) if a != b), len(text))
        end = next((i for i, (a, b) in enumerate(zip(text[::-1], changed[::-1], strict=False)) if a != b), len(text))
        assert _TRIVIA.fullmatch(text, start, max(start, len(text) - end))
        back, others = undo(changed, done)
        assert not others
        assert _plain(back) == before
        assert _comments(back) == _comments(text)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("unit", ["  ", "    ", "\t"])
def test_the_style_of_the_file_is_kept(unit: str, end: str) -> None:
    lines = [
        "{",
        f"{unit}// mine",
        f'{unit}"theme": "x", // dark',
        f'{unit}"mcp": {{}} // last',
        f"{unit}// end",
        "}",
        "",
    ]
    changed, done = put(end.join(lines), ("provider", "lora"), {"npm": "package"})
    block = [
        f'{unit}"provider": {{',
        f'{unit * 2}"lora": {{',
        f'{unit * 3}"npm": "package"',
        f"{unit * 2}}}",
        f"{unit}}}",
    ]
    lines[3] = f'{unit}"mcp": {{}}, // last'
    assert changed == end.join([*lines[:4], *block, *lines[4:]])
    assert undo(changed, done) == (end.join(lines).replace("{}, // last", "{} // last"), [])


def test_text_on_one_line_stays_on_one_line() -> None:
    changed, done = put('{"a": 1}', ("provider",), {"b": [1, 2]})
    assert changed == '{"a": 1, "provider": {"b": [1, 2]}}'
    assert undo(changed, done) == ('{"a": 1}', [])
    assert add('{"on": ["x"]}', ("on",), "lora")[0] == '{"on": ["x", "lora"]}'


def test_what_another_put_into_our_value_stays_when_ours_is_taken_out() -> None:
    text, done = put('{\n  "a": 1\n}\n', ("provider",), {"lora": _BLOCK})
    text, _ = put(text, ("provider", "other"), {"npm": "theirs"})
    back, others = undo(text, done)
    assert not others
    assert _plain(back) == {"a": 1, "provider": {"other": {"npm": "theirs"}}}
    text, _ = put(text, ("provider", "lora", "npm"), "mine now")
    assert undo(text, done)[1] == [("provider", "lora", "npm")]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{\n  "a": 1\n  "b": 2\n}', "line 3, column 3"),
        ('{"a": }', "line 1, column 7"),
        ('{"a": 1', "line 1, column 8"),
        ("{'a': 1}", "line 1, column 2"),
        ('{"a": 01}', "line 1, column 8"),
        ('{"a": "x\ny"}', "line 1, column 7"),
        ('{"a": 1} x', "line 1, column 10"),
        ("{} /* no end", "line 1, column 4"),
        ("[" * 300, "line 1, column 202"),
        ('{"a": [1,,2]}', "line 1, column 10"),
    ],
)
def test_a_mistake_is_named_by_line_and_column(text: str, place: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse(text)
    assert caught.value.where == place


def test_of_a_key_that_stands_twice_the_last_counts() -> None:
    node = find(parse('{"a": 1, "a": 2}'), ("a",))
    assert node is not None
    assert node.plain == 2
