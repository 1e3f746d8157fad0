"""Gates as a person types them: conditions that a verification must meet, "success >= 98 %" or "latency < 12 s".

    [suite:NAME] [measured] METRIC COMPARISON NUMBER UNIT    or    [suite:NAME] better

Rates and differences are judged by their 95 % interval, after `measured` by the measured value alone. `suite:NAME`
asks it of the newest report about the same fine-tune on that suite.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from math import isclose
from typing import Literal

import msgspec

from lora_tui.workspace.errors import BadInput

Metric = Literal["success", "difference", "language", "latency", "first-token", "memory", "forgetting"]

_SHARE = {"%": 0.01}
_POINTS = {"points": 0.01, "point": 0.01}
_SECONDS = {"s": 1.0, "ms": 0.001}
_BYTES = {"GB": 1e9, "MB": 1e6, "GiB": 2.0**30, "MiB": 2.0**20}
_NATS = {"": 1.0, "nats": 1.0}
# metric: (whether it must be at least the limit, units and what one of them is, an example)
_METRICS: dict[str, tuple[bool, dict[str, float], str]] = {
    "success": (True, _SHARE, "success >= 98 %"),
    "difference": (True, _POINTS, "difference > 0 points"),
    "language": (False, _POINTS, "language <= 2 points"),
    "latency": (False, _SECONDS, "latency < 12 s"),
    "first-token": (False, _SECONDS, "first-token < 500 ms"),
    "memory": (False, _BYTES, "memory < 10 GB"),
    "forgetting": (False, _NATS, "forgetting <= 0.1"),
}
_INTERVALS = ("success", "difference", "language")  # have an interval that `measured` leaves out
_FORM = re.compile(
    r"(?:suite:(?P<suite>\S+)\s+)?(?P<measured>measured\s+)?(?P<metric>[a-z-]+)"
    r"(?:\s*(?P<sign>>=|<=|≥|≤|>|<)\s*(?P<number>[+-]?\d+(?:\.\d+)?)\s*(?P<unit>\S*))?"
)


class Condition(msgspec.Struct, frozen=True):
    """One gate. `limit` is a share, seconds, bytes or nats per token."""

    text: str  # as typed
    metric: Metric
    limit: float
    strict: bool  # the limit itself does not do
    measured: bool = False  # the measured value decides, not its interval
    suite: str = ""  # another suite than the report's own

    @property
    def at_least(self) -> bool:
        """Whether more is better."""
        return _METRICS[self.metric][0]

    def met_by(self, value: float) -> bool:
        """Whether this very value meets it."""
        if isclose(value, self.limit, abs_tol=1e-12):  # 57 % is 0.57 however it was reckoned
            return not self.strict
        return value > self.limit if self.at_least else value < self.limit


def read(text: str) -> Condition:
    """The condition that was typed. Raises BadInput with what would be one."""
    words = " ".join(text.split())
    found = _FORM.fullmatch(words)
    metric = found["metric"] if found else ""
    if found is None or (metric != "better" and metric not in _METRICS):
        raise _no_gate(text, metric or words.split(" ")[0])
    suite, measured = found["suite"] or "", bool(found["measured"])
    if metric == "better":
        if found["sign"] or measured:
            raise BadInput(f"the gate {text!r}: `better` stands alone", fix="measured difference > 0 points")
        return Condition(text, "difference", 0.0, True, suite=suite)
    at_least, units, example = _METRICS[metric]
    if not found["sign"]:
        raise BadInput(f"the gate {text!r} names no limit", fix=f"For example: {example}")
    number, unit = float(found["number"]), found["unit"]
    if unit not in units and not (number == 0 and unit == ""):
        raise BadInput(f"the gate {text!r} needs a unit: {' or '.join(units)}", fix=f"For example: {example}")
    if (found["sign"] in (">=", "≥", ">")) is not at_least:
        raise BadInput(f"the gate {text!r} looks the wrong way round", fix=f"For example: {example}")
    if measured and metric not in _INTERVALS:
        raise BadInput(f"the gate {text!r}: what was measured decides about {metric} anyway", fix=f"Write {example}")
    limit, strict = number * units.get(unit, 1.0), found["sign"] in (">", "<")
    if metric == "success" and (limit > 1 or (limit == 1 and (strict or not measured))):
        raise BadInput(
            f"the gate {text!r} can never be passed: no number of prompts proves it",
            fix="Write measured success >= 100 %, or less than 100 %.",
        )
    return Condition(text, metric, limit, strict, measured, suite)  # type: ignore[arg-type]


def _no_gate(text: str, said: str) -> BadInput:
    near = get_close_matches(said, ["better", *_METRICS], n=1)
    examples = [_METRICS[near[0]][2] if near[0] in _METRICS else "better"] if near else ["success >= 98 %", "better"]
    return BadInput(
        f"{text!r} is no gate",
        fix=f"For example: {' or '.join(examples)}. Known: better, {', '.join(_METRICS)}.",
    )
