"""A judge's reply, read: one JSON object with a verdict. Anything else is no verdict, neither for nor against."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from typing import Any, Literal, TypeVar

import msgspec

from lora_tui.workspace.errors import LoraTuiError

Choice = Literal["A", "B", "tie"]

_T = TypeVar("_T")
_THOUGHTS = re.compile(r"\A\s*<(think|thinking|reasoning)>.*?</\1>", re.S | re.I)
_OBJECT = re.compile(r"\{\s*\"")
_YES, _NO = {"true", "yes", "pass", "y"}, {"false", "no", "fail", "n"}  # as promptfoo reads a text in "pass"
_CHOICES: dict[str, Choice] = {"a": "A", "answer a": "A", "b": "B", "answer b": "B", "tie": "tie", "equal": "tie"}
_SHOWN = 120


class Unreadable(LoraTuiError):
    """A reply that holds no verdict, or two that differ."""


class Grade(msgspec.Struct, frozen=True):
    """One answer by one rubric."""

    passed: bool
    score: float  # 0 to 1
    reason: str = ""


class Preference(msgspec.Struct, frozen=True):
    """One answer against another."""

    better: Choice
    reason: str = ""


def grade(reply: str, threshold: float | None = None) -> Grade:
    """The grade in a reply; with a `threshold` its score must be that at least, as promptfoo has it. Raises Unreadable.

    Without "pass" the score decides where there is a threshold. Other than in promptfoo an object without either is no
    pass.
    """
    return _only(reply, ("pass", "score"), lambda found: _grade(found, threshold))


def preference(reply: str) -> Preference:
    """The choice in a reply. Raises Unreadable."""
    return _only(reply, ("better",), _preference)


def _grade(found: dict[str, Any], threshold: float | None) -> Grade | None:
    passed, score = _truth(found.get("pass")), _score(found.get("score"))
    if passed is None and (found.get("pass") is not None or threshold is None or score is None):
        return None
    if score is None and threshold is not None and found.get("score") is not None:
        return None
    passed = passed is not False
    score = float(passed) if score is None else score
    return Grade(passed and (threshold is None or score >= threshold), score, _reason(found))


def _preference(found: dict[str, Any]) -> Preference | None:
    better = _CHOICES.get(str(found.get("better")).strip().lower())
    return None if better is None else Preference(better, _reason(found))


def _only(reply: str, keys: tuple[str, ...], read: Callable[[dict[str, Any]], _T | None]) -> _T:
    """The one verdict of a reply: said twice it must be the same, or it is not known which is the judge's own."""
    text = _THOUGHTS.sub("", reply, count=1)
    verdicts = [read(found) for found in _objects(text) if any(key in found for key in keys)]
    made = [verdict for verdict in verdicts if verdict is not None]
    if not made or len(made) < len(verdicts):
        raise Unreadable(f"the judge's reply holds no verdict: {_short(text)}")
    if len({_verdict(item) for item in made}) > 1:
        raise Unreadable(f"the judge's reply holds verdicts that differ: {_short(text)}")
    return made[-1]


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """The JSON objects of a reply, outermost ones, with their keys in small letters.

    Raises Unreadable where one is broken: what stands inside it may be quoted from the answer that is judged.
    """
    decoder = json.JSONDecoder(strict=False)  # line breaks within a text are let through
    end = 0
    while begin := _OBJECT.search(text, end):
        try:
            found, end = decoder.raw_decode(text, begin.start())
        except (ValueError, RecursionError):
            raise Unreadable(f"the judge's reply holds broken JSON: {_short(text[begin.start() :])}") from None
        yield {str(name).lower(): value for name, value in found.items()}


def _truth(value: object) -> bool | None:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    return True if word in _YES else False if word in _NO else None


def _score(value: object) -> float | None:
    """A number from 0 to 1; None for anything else: on what scale an 8 is cannot be known."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) and 0 <= number <= 1 else None


def _verdict(item: object) -> object:
    return item.passed if isinstance(item, Grade) else item.better if isinstance(item, Preference) else None


def _reason(found: dict[str, Any]) -> str:
    """In one line. Half a character, as JSON may write it where the judge cut an emoji in two, is no text to keep."""
    text = str(found.get("reason") or "").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return " ".join(text.split())


def _short(text: str) -> str:
    line = " ".join(text.split())
    return repr(line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "…")
