"""What was asked and answered, per version: counts, latency, tokens, errors. They outlive a kill.

requests.jsonl gets a line when a request begins and one when it ends, each in one write of an append-only file, so
that a killed router loses nothing and what it was cut off from is counted as such. What a full disk does not take
waits in memory until it does. No word of a request is kept.
"""

from __future__ import annotations

import os
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from lora_tui.workspace import atomic
from lora_tui.workspace.errors import LoraTuiError

JOURNAL, TOTALS = "requests.jsonl", "totals.json"
BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)  # seconds; of the latencies
_RECENT = 30.0  # seconds over which tokens/s is taken


class Begun(msgspec.Struct, frozen=True, tag="begun"):
    """A request was taken in: what was asked for, which version answers, and why that one."""

    id: str
    at: float  # epoch seconds
    asked: str
    version: str  # "" is the base
    reason: str = ""


class Ended(msgspec.Struct, frozen=True, tag="ended"):
    """A request is over. Seconds are from its arrival; status 499: the client left; 0: it broke off in the middle."""

    id: str
    version: str
    status: int
    first: float | None
    seconds: float
    prompt_tokens: int = 0
    tokens: int = 0
    error: str = ""


class Latency(msgspec.Struct):
    """A histogram over BOUNDS."""

    count: int = 0
    total: float = 0.0  # seconds
    buckets: list[int] = msgspec.field(default_factory=lambda: [0] * len(BOUNDS))  # cumulative, as Prometheus has them

    def add(self, seconds: float) -> None:
        """One measurement."""
        self.count += 1
        self.total += seconds
        for index, bound in enumerate(BOUNDS):
            if seconds <= bound:
                self.buckets[index] += 1

    @property
    def mean(self) -> float | None:
        """Seconds; None before the first."""
        return self.total / self.count if self.count else None


class Counts(msgspec.Struct):
    """One version's figures; what is running now is only known while the router lives."""

    requests: int = 0
    answered: int = 0
    errors: int = 0
    left: int = 0  # the client went away
    cut: int = 0  # the router was killed
    prompt_tokens: int = 0
    tokens: int = 0
    first: Latency = msgspec.field(default_factory=Latency)  # seconds to the first token
    whole: Latency = msgspec.field(default_factory=Latency)  # seconds to the end


class _Totals(msgspec.Struct):
    """totals.json: what the journal's first `offset` bytes add up to, and what had begun and not ended by then."""

    offset: int = 0
    counts: dict[str, Counts] = {}
    open: dict[str, str] = {}


_ENCODE = msgspec.json.Encoder().encode
_DECODE = msgspec.json.Decoder(Begun | Ended).decode


class Accounts:
    """The figures of a served set; one process writes them."""

    def __init__(self, folder: Path) -> None:
        self._path, self._kept = folder / JOURNAL, folder / TOTALS
        self._totals = _replayed(self._path, self._kept)
        self._file = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._end_half_line()
        self._unwritten = bytearray()
        self._recent: deque[tuple[float, int]] = deque()
        self._number = 0
        self._run = f"{os.getpid():x}-{time.time_ns() // 1_000_000:x}"
        for identity, version in list(self._totals.open.items()):  # its router was killed
            self._write(Ended(id=identity, version=version, status=0, first=None, seconds=0.0, error=CUT))

    @property
    def counts(self) -> dict[str, Counts]:
        """Version -> its figures; "" is the base."""
        return self._totals.counts

    def begin(self, asked: str, version: str, reason: str) -> str:
        """A request was taken in. Returns its identity."""
        self._number += 1
        identity = f"{self._run}-{self._number:x}"
        self._write(Begun(id=identity, at=time.time(), asked=asked[:200], version=version, reason=reason[:200]))
        return identity

    def end(self, ended: Ended) -> None:
        """It is over."""
        self._write(ended)
        if ended.tokens:
            self._recent.append((time.monotonic(), ended.tokens))

    def running(self, version: str | None = None) -> int:
        """Requests that have begun and not ended, of one version or of all."""
        found = self._totals.open.values()
        return len(found) if version is None else sum(1 for one in found if one == version)

    def tokens_per_second(self) -> float:
        """Of the answers that ended in the last half minute."""
        since = time.monotonic() - _RECENT
        while self._recent and self._recent[0][0] < since:
            self._recent.popleft()
        return sum(tokens for _, tokens in self._recent) / _RECENT

    def save(self) -> None:
        """Keep the sums, so that the next start reads only what came after. Raises LoraTuiError."""
        self._flush()
        if self._unwritten:  # the sums have what the journal has not: they would be of another place in it
            return
        atomic.write_bytes(self._kept, _ENCODE(self._totals))

    def close(self) -> None:
        """Keep the sums where there is room, and close."""
        with suppress(LoraTuiError):
            self.save()
        os.close(self._file)

    def _write(self, event: Begun | Ended) -> None:
        self._unwritten += _ENCODE(event) + b"\n"
        self._flush()
        _add(self._totals, event)

    def _flush(self) -> None:
        """Write what there is to write; what the disk does not take is kept."""
        with suppress(OSError):
            while self._unwritten:
                count = os.write(self._file, self._unwritten)
                del self._unwritten[:count]
                self._totals.offset += count

    def _end_half_line(self) -> None:
        """A write that a full disk cut short must not spoil the next line."""
        size = os.fstat(self._file).st_size
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            os.write(self._file, b"\n")
            size += 1
        self._totals.offset = size


CUT = "the router was killed"


def _replayed(journal: Path, kept: Path) -> _Totals:
    try:
        totals = msgspec.json.decode(kept.read_bytes(), type=_Totals)
    except (OSError, msgspec.DecodeError):
        totals = _Totals()
    try:
        size = journal.stat().st_size
    except OSError:
        return _Totals()
    if totals.offset > size:  # another journal lies there
        totals = _Totals()
    with journal.open("rb") as file:
        file.seek(totals.offset)
        for line in file:
            try:
                _add(totals, _DECODE(line))
            except msgspec.DecodeError:
                continue
    return totals


def _add(totals: _Totals, event: Begun | Ended) -> None:
    counts = totals.counts.setdefault(event.version, Counts())
    if isinstance(event, Begun):
        counts.requests += 1
        totals.open[event.id] = event.version
        return
    totals.open.pop(event.id, None)
    counts.prompt_tokens += event.prompt_tokens
    counts.tokens += event.tokens
    if event.error == CUT:
        counts.cut += 1
    elif event.status == LEFT:
        counts.left += 1
    elif event.error or event.status != 200:
        counts.errors += 1
    else:
        counts.answered += 1
        counts.whole.add(event.seconds)
    if event.first is not None:
        counts.first.add(event.first)


LEFT = 499  # nginx's code for a client that went away


def prometheus(counts: dict[str, Counts], running: dict[str, int], gauges: dict[str, float]) -> str:
    """The figures in Prometheus' text format; the base is the version `base`."""
    lines = [f"lora_tui_{name} {value:g}" for name, value in gauges.items()]
    for version, one in counts.items():
        label = f'version="{version or "base"}"'
        outcomes = {"answered": one.answered, "errors": one.errors, "left": one.left, "cut": one.cut}
        lines += [f'lora_tui_requests_total{{{label},outcome="{name}"}} {count}' for name, count in outcomes.items()]
        lines.append(f"lora_tui_requests_running{{{label}}} {running.get(version, 0)}")
        lines.append(f"lora_tui_prompt_tokens_total{{{label}}} {one.prompt_tokens}")
        lines.append(f"lora_tui_generation_tokens_total{{{label}}} {one.tokens}")
        for name, latency in (("time_to_first_token", one.first), ("request", one.whole)):
            lines += _histogram(f"lora_tui_{name}_seconds", label, latency)
    return "\n".join(lines) + "\n"


def _histogram(name: str, label: str, latency: Latency) -> list[str]:
    bounds: list[tuple[Any, int]] = [*zip(BOUNDS, latency.buckets, strict=True), ("+Inf", latency.count)]
    return [
        *(f'{name}_bucket{{{label},le="{bound}"}} {count}' for bound, count in bounds),
        f"{name}_sum{{{label}}} {latency.total:g}",
        f"{name}_count{{{label}}} {latency.count}",
    ]
