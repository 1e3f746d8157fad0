"""journal.jsonl: the one record of a long job. Many may write it, everyone reads it the same way.

Each line is one event with its `type` and `time` (epoch seconds). A line is written by a single append, so
several writers never mix, and a crash costs at most the line being written; readers skip what they cannot parse.
"""

from __future__ import annotations

import errno
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import msgspec

from lora_tui.workspace.errors import LoraTuiError


class Event(msgspec.Struct, frozen=True, tag_field="type", omit_defaults=True, kw_only=True):
    """What every event has."""

    time: float = 0.0  # epoch seconds; filled in by the writer
    origin: int = 0  # which of another machine's words it is, counted from 1; 0: said here


class Starting(Event, frozen=True, tag="starting"):
    """A process is being started for the job; what an earlier one said last no longer counts."""


class Started(Event, frozen=True, tag="started"):
    """A process took the job up. `resumed_from` is the checkpoint's step when it continues an earlier one."""

    pid: int
    host: str
    total_steps: int = 0
    resumed_from: int | None = None
    device: str = ""
    versions: dict[str, str] = {}
    world_size: int = 1  # processes that train together
    resumed_path: str = ""  # the checkpoint, relative to the run folder


class Progress(Event, frozen=True, tag="progress"):
    """`done` of `total` units of a named stage; total 0 when it is not known."""

    stage: str
    done: int
    total: int = 0


class Metrics(Event, frozen=True, tag="metrics"):
    """One optimizer step. `tokens` are the loss-carrying tokens trained on so far."""

    step: int
    epoch: float
    loss: float
    learning_rate: float
    grad_norm: float | None = None
    tokens: int = 0
    tokens_per_second: float = 0.0
    step_seconds: float = 0.0
    penalty: float = 0.0  # the part of what was minimised that is no cross entropy (EWC, KL, L2); not in `loss`


class Evaluation(Event, frozen=True, tag="eval"):
    """Loss on the validation split."""

    step: int
    epoch: float
    eval_loss: float


class Checkpoint(Event, frozen=True, tag="checkpoint"):
    """A complete checkpoint lies at `path` (relative to the run folder)."""

    step: int
    path: str
    best: bool = False  # its eval loss is the lowest so far


class Gpu(msgspec.Struct, frozen=True, omit_defaults=True):
    """One GPU; bytes, percent, degrees Celsius, watts."""

    name: str
    memory_used: int
    memory_total: int
    utilization: float = 0.0
    temperature: float = 0.0
    power: float = 0.0


class Hardware(Event, frozen=True, tag="hardware"):
    """The machine at one moment: percent of all cores, bytes of RAM, every GPU."""

    cpu: float
    ram_used: int
    ram_total: int
    process_rss: int = 0
    gpus: tuple[Gpu, ...] = ()
    cores: tuple[float, ...] = ()  # percent of each core
    disk_free: int = 0  # bytes, on the disk of the run folder


class Check(msgspec.Struct, frozen=True, omit_defaults=True):
    """One expectation and whether the answer met it."""

    expectation: str
    passed: bool
    detail: str = ""
    not_run: str = ""  # why it was not checked; then it is neither passed nor failed
    weight: float = 1.0  # in the score of a test with a threshold; 0 decides nothing


class Sample(Event, frozen=True, tag="sample"):
    """What the model answers to a prompt at this step; `checks` where the prompt is of a suite."""

    step: int
    prompt: str
    answer: str
    checks: tuple[Check, ...] = ()


class General(Event, frozen=True, tag="general"):
    """Loss in nats per token on the held general set: what is forgotten is how far it rises above that of `step` 0.

    `kl` is the mean KL divergence per token from the model as it was before training; `start` the loss at step 0.
    """

    step: int
    loss: float
    kl: float | None = None
    rows: int = 0
    start: float | None = None


class OutOfMemory(Event, frozen=True, tag="out_of_memory"):
    """A step did not fit; the run goes on from its last checkpoint with the batch and accumulation given here.

    Bytes: what the plan said (0: unknown), and what was reached. `longest` is of the batch that broke it, in tokens.
    """

    step: int
    per_device_train_batch_size: int  # from now on
    gradient_accumulation_steps: int
    planned: int = 0
    reached: int = 0
    longest: int = 0
    rows: tuple[str, ...] = ()
    retry: int = 1


class Paused(Event, frozen=True, tag="paused"):
    """Waits, on request, with everything in memory."""

    step: int


class Continued(Event, frozen=True, tag="continued"):
    """Goes on after a pause."""

    step: int


class Warned(Event, frozen=True, tag="warning"):
    """Something a person should know; the job goes on. `code` names what a program may act on: "nan", "plateau", …"""

    message: str
    advice: str = ""
    code: str = ""
    step: int = 0


class Note(Event, frozen=True, tag="note"):
    """Something worth knowing that needs nothing done about it."""

    message: str


class Hiring(Event, frozen=True, tag="hiring"):
    """A machine is about to be rented under this label: said before it is asked for, so that it can be found again."""

    provider: str
    label: str  # "lora-tui/<run>"


class Hired(Event, frozen=True, tag="hired"):
    """A machine works for this run and costs from now on, in USD an hour; 0 for one's own."""

    provider: str
    id: str
    name: str = ""  # what it is: "RTX 4090"
    price_per_hour: float = 0.0
    max_hours: float = 0.0


class Released(Event, frozen=True, tag="released"):
    """It is given back and costs no more. `cost`: what its provider says, else hours times the price, in USD."""

    provider: str
    id: str
    seconds: float = 0.0
    cost: float = 0.0


class Remote(Event, frozen=True, tag="remote"):
    """Something of this run lies with a peer under this id: what was paid for is found again. `gone`: no longer."""

    peer: str
    kind: str  # "training file", "job", "model", "endpoint", …
    id: str
    gone: bool = False


class Charged(Event, frozen=True, tag="charged"):
    """What a peer takes for something, in USD."""

    peer: str
    what: str
    amount: float
    estimated: bool = False


class AnswerDelta(Event, frozen=True, tag="answer_delta"):
    """A further piece of an answer that is being generated. `side` is 'baseline', 'tuned', or a further one's label."""

    prompt: int
    side: str
    text: str
    sample: int = 0


class Answer(Event, frozen=True, tag="answer", omit_defaults=True):
    """A complete answer with its checks; seconds from request to first and to last token."""

    prompt: int
    side: str
    text: str
    sample: int = 0
    checks: tuple[Check, ...] = ()
    tokens: int = 0
    prompt_tokens: int = 0  # 0: the endpoint does not tell
    counted: bool = False  # the tokens were counted here, because the endpoint does not tell
    first_token_seconds: float = 0.0
    seconds: float = 0.0
    queued_seconds: float = 0.0  # of these, before the endpoint began with it, where it tells
    stopped: bool = True  # ended by itself, not cut at max_tokens
    error: str = ""
    fault: str = ""  # what the error is called, or what was wrong with earlier attempts
    attempts: int = 1
    load: tuple[int, int] = (0, 0)  # requests in flight with it, as it began and as it ended; 0: not known
    cached: bool = False  # kept from an earlier run: its times are of then
    threshold: float | None = None  # of the weighted share of its checks; None: all must pass

    @property
    def place(self) -> tuple[int, str, int]:
        """Which answer of a verification it is: prompt, side, sample."""
        return self.prompt, self.side, self.sample


class Again(Event, frozen=True, tag="again"):
    """A prompt is to be asked again of every side: its answers so far do not count any more."""

    prompt: int


class Judged(Event, frozen=True, tag="judged"):
    """A judge has read an answer: its checks from now on, all of them."""

    prompt: int
    side: str
    sample: int = 0
    checks: tuple[Check, ...] = ()

    @property
    def place(self) -> tuple[int, str, int]:
        """Which answer of a verification it is about: prompt, side, sample."""
        return self.prompt, self.side, self.sample


class Identified(Event, frozen=True, tag="identified"):
    """Who answers for a side, as far as the endpoint shows."""

    side: str
    engine: str
    model: str
    version: str = ""
    digest: str = ""
    proven: bool = True
    notes: tuple[str, ...] = ()


class Asked(Event, frozen=True, tag="asked"):
    """All of a side's questions were asked: how many it took at once, and its process's peak memory in bytes."""

    side: str
    at_once: int
    warm_up_seconds: float = 0.0
    rss_bytes: int = 0
    vram_bytes: int = 0


class Fault(Event, frozen=True, tag="fault"):
    """An endpoint did what makes answers worth less, or nothing where `voids`. `code` is a name of `verify/asking`."""

    side: str
    code: str
    message: str
    voids: bool = False


class Tried(Event, frozen=True, tag="tried"):
    """A run of a sweep has ended: finished, failed or stopped. `pass_rate` is of the suite, from 0 to 1."""

    run: str
    state: str
    eval_loss: float | None = None
    pass_rate: float | None = None
    reason: str = ""


class CycleStep(Event, frozen=True, tag="cycle_step"):
    """A step of a cycle has ended: it is done, there was nothing to do, or it refuses that the cycle goes on."""

    step: str
    outcome: Literal["done", "nothing", "refused"]
    said: tuple[str, ...]  # lines for people
    made: str = ""  # the dataset, adapter or report it made, or the version that was promoted


class Stopped(Event, frozen=True, tag="stopped"):
    """Stopped, on request or by a guard, after writing a checkpoint; `runs resume` goes on from it."""

    step: int = 0
    checkpoint: str = ""
    reason: str = ""  # empty: on request


class Finished(Event, frozen=True, tag="finished"):
    """The job is done. `output` is relative to the run folder or names a report."""

    steps: int = 0
    loss: float | None = None
    eval_loss: float | None = None
    seconds: float = 0.0
    output: str = ""
    best_step: int = 0  # whose weights the output has, where that is not the last step


class Failed(Event, frozen=True, tag="failed"):
    """The job ended with an error a person can read."""

    reason: str
    where: str = ""
    fix: str = ""


AnyEvent = (
    Starting
    | Started
    | Progress
    | Metrics
    | Evaluation
    | Checkpoint
    | Hardware
    | Sample
    | General
    | OutOfMemory
    | Paused
    | Continued
    | Warned
    | Note
    | Hiring
    | Hired
    | Released
    | Remote
    | Charged
    | AnswerDelta
    | Answer
    | Again
    | Judged
    | Identified
    | Asked
    | Fault
    | Tried
    | CycleStep
    | Stopped
    | Finished
    | Failed
)

_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)
_LASTING = (
    *(Started, Checkpoint, OutOfMemory, CycleStep, Stopped, Finished, Failed),
    *(Identified, Fault, Again),  # which answers count
    *(Hiring, Hired, Released, Remote, Charged),
)
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # how a full disk answers
_ROOM, _ROOM_BYTES = ".room", 1 << 16


class Journal:
    """Appends events to one journal file.

    A full disk takes no event that a resume depends on: `keep_room` sets some of it aside for them. Others are dropped
    while it is full, and how many were is said as soon as there is room.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._half = bool(os.fstat(self._file).st_size) and not _ends_with_newline(path)  # a crash left half a line
        self._room = path.with_name(_ROOM)
        self._dropped = 0

    def keep_room(self) -> None:
        """Set aside room for the last words; where there is none already, nothing is."""
        with suppress(OSError):
            self._room.write_bytes(os.urandom(_ROOM_BYTES))  # some file systems store no zeros

    def write(self, event: AnyEvent) -> None:
        """Append `event`, stamped with the current time; the events a resume depends on are synced to disk.

        Raises LoraTuiError where such an event finds no room on a full disk.
        """
        if self._dropped and not isinstance(event, _LASTING):
            self._tell_dropped()
        stamped = event if event.time else msgspec.structs.replace(event, time=time.time())
        line = _ENCODER.encode(stamped) + b"\n"
        lasting = isinstance(event, _LASTING)
        if not self._append(line):
            if lasting:
                self._room.unlink(missing_ok=True)
            if not lasting or not self._append(line):
                self._dropped += 1
                if lasting:
                    raise LoraTuiError(
                        "the disk is full: the journal cannot be written",
                        where=str(self.path),
                        fix="Free some space, then go on with `lora-tui runs resume`.",
                    )
        if lasting:
            os.fsync(self._file)

    def close(self) -> None:
        """Close the file, and give back the room that was set aside."""
        os.close(self._file)
        self._room.unlink(missing_ok=True)

    def _append(self, line: bytes) -> bool:
        """Write a line in one piece, closing off half a line before it; False where the disk is full."""
        data = b"\n" + line if self._half else line
        done = 0
        try:
            while done < len(data):
                done += os.write(self._file, data[done:])
        except OSError as error:
            if error.errno not in FULL:
                raise
            self._half = self._half or done > 0
            return False
        self._half = False
        return True

    def _tell_dropped(self) -> None:
        word = Warned(
            time=time.time(), message=f"the disk was full: {self._dropped} events could not be written", code="disk"
        )
        if self._append(_ENCODER.encode(word) + b"\n"):
            self._dropped = 0


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


class JournalReader:
    """Reads a journal from where it stopped last time; safe beside writers."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.offset = 0
        self.unreadable = 0  # lines that are no event: a crash's half line, a newer version's type

    def read(self) -> list[AnyEvent]:
        """The events appended since the last call; an incomplete last line waits for its end."""
        try:
            with self.path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                if size <= self.offset:
                    self.offset = size  # smaller where a crash took the end away
                    return []
                file.seek(self.offset)
                data = file.read(size - self.offset)
        except FileNotFoundError:
            return []
        end = data.rfind(b"\n") + 1
        self.offset += end
        events: list[AnyEvent] = []
        for line in data[:end].splitlines():
            if not line.strip():
                continue
            try:
                events.append(_DECODER.decode(line))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # also bytes that are no text
                self.unreadable += 1
        return events


def as_dict(event: AnyEvent) -> dict[str, Any]:
    """The event as plain data, as it stands in the file."""
    data: dict[str, Any] = msgspec.json.decode(_ENCODER.encode(event))
    return data
