"""What the answers of a verification prove: a report, made from its journal's events alone."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean

import msgspec

from lora_tui.jobs import journal
from lora_tui.jobs.journal import Answer
from lora_tui.verify.asking import Sampling
from lora_tui.verify.reports.report import (
    BASELINE,
    JUDGE,
    TUNED,
    Fault,
    Outcome,
    Report,
    Side,
    named,
    passed,
    verdict_of,
)
from lora_tui.verify.reports.timing import even_times, mean_seconds, timed
from lora_tui.verify.running.asked_suite import sha256
from lora_tui.verify.statistics import Comparison, compare, compare_groups, latency, noise
from lora_tui.verify.suites.suite import Suite

_TWO_ENGINES = ", or both sides are one model on two engines"
_ALIKE = 3  # prompts answered alike, from which on it is no chance

_MEANT = {"no-usage": "it does not say how many tokens its answers have: they were counted here"}

Answers = Mapping[tuple[int, str, int], Answer]


class Heard(msgspec.Struct):
    """What the journal of a run holds: every answer that counts, and what was learned of each side."""

    answers: dict[tuple[int, str, int], Answer]
    identified: dict[str, journal.Identified]
    asked: dict[str, list[journal.Asked]]
    faults: list[journal.Fault]
    again: Counter[int]
    unjudged: dict[tuple[int, str, int], tuple[journal.Check, ...]]  # what a judge has read, as it was before
    unproven: set[str]  # sides of which it was not looked who answers since their last answer

    @classmethod
    def of(cls, events: Sequence[journal.AnyEvent]) -> Heard:
        """Fold a journal. Answers that came before a fault that voids them, or that were to be asked again, are out."""
        heard = cls({}, {}, {}, [], Counter(), {}, set())
        for event in events:
            heard.fold(event)
        return heard

    def fold(self, event: journal.AnyEvent) -> None:
        """Take one event in."""
        match event:
            case Answer():
                self.answers[event.place] = event
                self.unjudged.pop(event.place, None)
                if not event.cached and not event.error:
                    self.unproven.add(event.side)
            case journal.Identified():
                self._meet(event)
            case journal.Asked():
                self.asked.setdefault(event.side, []).append(event)
            case journal.Fault():
                self.faults.append(event)
            case journal.Judged() if event.place in self.answers:
                self.unjudged.setdefault(event.place, self.answers[event.place].checks)
                self.answers[event.place] = msgspec.structs.replace(self.answers[event.place], checks=event.checks)
            case journal.Again():
                self.again[event.prompt] += 1
                for place in [place for place in self.answers if place[0] == event.prompt]:
                    del self.answers[place]
            case journal.Started() if self.void:  # what was void is asked anew
                self.answers.clear()
                self.faults.clear()
                self.asked.clear()
                self.unproven.clear()

    def _meet(self, event: journal.Identified) -> None:
        """Who answers for a side now. What another said for it before does not count."""
        before = self.identified.get(event.side)
        if before is not None and _who(before) != _who(event):
            for place in [place for place in self.answers if place[1] == event.side]:
                del self.answers[place]
            self.asked.pop(event.side, None)
            if event.side == JUDGE:
                self._forget_judge()
        self.identified[event.side] = event
        self.unproven.discard(event.side)

    def _forget_judge(self) -> None:
        """What another judge said does not count beside what this one will say."""
        for place, checks in self.unjudged.items():
            if place in self.answers:
                self.answers[place] = msgspec.structs.replace(self.answers[place], checks=checks)
        self.unjudged.clear()

    @property
    def void(self) -> bool:
        """Whether nothing can be concluded from these answers."""
        return any(fault.voids for fault in self.faults)


def conclude(
    identity: str,
    suite: Suite,
    sides: Mapping[str, str],
    heard: Heard,
    *,
    sampling: Sampling | None = None,
    samples: int = 1,
    seconds: float = 0.0,
    profile: str = "",
    judge: str = "",
) -> Report:
    """The report of a complete run. `sides` are endpoints as typed, by label, baseline and tuned first."""
    outcomes = tuple(
        Outcome(
            case.description,
            case.prompt,
            case.language,
            {label: _samples(heard.answers, number, label) for label in sides},
            case.threshold,
            heard.again[number],
        )
        for number, case in enumerate(suite.cases)
    )
    faults = (*_faults(heard), *_no_effect(sides, heard, outcomes))
    judged = [item for item in outcomes if not _not_run(item)]
    result = compare(*_passes(judged))
    errors = [answer for item in outcomes for some in item.answers.values() for answer in some if answer.error]
    return Report(
        id=identity,
        suite=suite.name,
        created=time.time(),
        sides=tuple(_side(label, endpoint, heard, outcomes) for label, endpoint in sides.items()),
        sampling=sampling or Sampling(),
        samples=samples,
        verdict=_verdict(result, faults, errors, outcomes, len(judged)),
        result=result,
        outcomes=outcomes,
        languages=_languages(judged),
        latency=latency(*even_times(judged)),
        noise={label: found for label in sides if (found := noise(_passed(judged, label)))},
        faults=faults,
        errors=len(errors),
        not_run=len(outcomes) - len(judged),
        seconds=seconds,
        suite_sha256=sha256(suite),
        profile=profile,
        judge=_side(JUDGE, judge, heard, ()) if judge else None,
    )


def _samples(answers: Answers, prompt: int, side: str) -> tuple[Answer, ...]:
    found = [answer for (number, label, _), answer in answers.items() if (number, label) == (prompt, side)]
    return tuple(sorted(found, key=lambda answer: answer.sample))


def _not_run(outcome: Outcome) -> bool:
    """Whether something that decides it could not be checked, on either side that is compared."""
    return any(verdict_of(answer) == "not run" for side in (BASELINE, TUNED) for answer in outcome.answers[side])


def _passed(outcomes: Sequence[Outcome], side: str) -> list[list[bool]]:
    """By prompt: what is asked twice, with other expectations or none, is answered alike and proves no more."""
    found: dict[str, list[bool]] = {}
    for item in outcomes:
        own = [passed(answer) for answer in item.answers[side] if not answer.error]
        found.setdefault(item.prompt, []).extend(own)
    return list(found.values())


def _passes(outcomes: Sequence[Outcome]) -> tuple[list[list[bool]], list[list[bool]]]:
    return _passed(outcomes, BASELINE), _passed(outcomes, TUNED)


def _languages(outcomes: Sequence[Outcome]) -> dict[str, Comparison]:
    names = sorted({item.language for item in outcomes if item.language})
    if len(names) < 2:
        return {}
    return compare_groups({name: _passes([item for item in outcomes if item.language == name]) for name in names})


def _faults(heard: Heard) -> tuple[Fault, ...]:
    """Every kind of fault once, with how often: what was said of an endpoint, and of its answers."""
    found: dict[tuple[str, str], Fault] = {}
    told = [(one.side, one.code, one.message, one.voids) for one in heard.faults]
    told += [
        (one.side, one.fault, one.error or _MEANT.get(one.fault, "it came at a further attempt"), False)
        for one in heard.answers.values()
        if one.fault
    ]
    for side, code, message, voids in told:
        known = found.get((side, code))
        found[side, code] = (
            Fault(side, code, message, 1, voids)
            if known is None
            else msgspec.structs.replace(known, times=known.times + 1, voids=known.voids or voids)
        )
    return tuple(sorted(found.values(), key=lambda one: (not one.voids, one.side, one.code)))


def _no_effect(sides: Mapping[str, str], heard: Heard, outcomes: Sequence[Outcome]) -> Iterator[Fault]:
    """A fine-tune that says what its baseline says, word for word, has most likely been loaded without effect."""
    if _may_be_one(sides, heard) or any(fault.code == "no-effect" for fault in heard.faults):
        return
    before, after = ([_said(item, side) for item in outcomes] for side in (BASELINE, TUNED))
    if len(outcomes) >= _ALIKE and before == after and all(any(said) for said in after):
        message = f"it gave the baseline's answers, word for word, to all {len(outcomes)} prompts"
        engines = {said.engine for side in (BASELINE, TUNED) if (said := heard.identified.get(side)) is not None}
        if len(engines) > 1:
            message += _TWO_ENGINES
        yield Fault(TUNED, "no-effect", message, times=len(outcomes))


def _may_be_one(sides: Mapping[str, str], heard: Heard) -> bool:
    """Whether both sides are, or may well be, the same model, or versions of one: no wonder if they say the same."""
    names = {name.rpartition("@")[0] or name for name in (named(sides[BASELINE]), named(sides[TUNED]))}
    if len(names) == 1:  # also of one adapter that two engines serve
        return True
    one, other = (heard.identified.get(side) for side in (BASELINE, TUNED))
    if one is None or other is None:
        return False
    return one.digest == other.digest if one.digest and other.digest else one.model == other.model


def _said(outcome: Outcome, side: str) -> list[str]:
    return [answer.text for answer in outcome.answers[side] if not answer.error]


def _verdict(
    result: Comparison, faults: Sequence[Fault], errors: Sequence[Answer], outcomes: Sequence[Outcome], judged: int
) -> str:
    void = next((fault for fault in faults if fault.voids), None)
    if void is not None:
        return f"No verdict: {void.code}, {void.side}: {void.message}"
    if errors:  # a fault of a server says nothing about a model
        many = f"{len(errors)} answers" if len(errors) > 1 else "an answer"
        return f"No verdict: {many} could not be had ({errors[0].error})."
    said = result.verdict if judged else "No verdict:"
    if judged < len(outcomes):
        why = next(_reasons(outcomes), "")
        said += f" {len(outcomes) - judged} of {len(outcomes)} prompts were not judged ({why})."
    if again := sum(item.asked_again > 0 for item in outcomes):
        prompts = "a prompt was" if again == 1 else f"{again} prompts were"
        said += f" By hand {prompts} asked again: what was answered before does not count."
    alike = next((fault for fault in faults if fault.code == "no-effect"), None)
    if alike is not None:
        doubt = _TWO_ENGINES if alike.message.endswith(_TWO_ENGINES) else ""
        said += f" The fine-tune has no effect{doubt}: it answers as the baseline does, word for word."
    return said


def _reasons(outcomes: Sequence[Outcome]) -> Iterator[str]:
    for item in outcomes:
        for side in (BASELINE, TUNED):
            for answer in item.answers[side]:
                yield from (check.not_run for check in answer.checks if check.not_run and check.weight > 0)


def _side(label: str, endpoint: str, heard: Heard, outcomes: Sequence[Outcome]) -> Side:
    said = heard.identified.get(label)
    asked = heard.asked.get(label, [])
    answers = [answer for item in outcomes for answer in item.answers[label] if not answer.error]
    speeds = [
        answer.tokens / (answer.seconds - answer.first_token_seconds)
        for answer in timed(answers)
        if answer.tokens > 1 and answer.seconds - answer.first_token_seconds > 1e-3
    ]
    return Side(
        label=label,
        endpoint=endpoint,
        engine=said.engine if said else "",
        model=said.model if said else "",
        version=said.version if said else "",
        digest=said.digest if said else "",
        proven=said.proven if said else False,
        notes=said.notes if said else (),
        at_once=max((one.at_once for one in asked), default=0),
        warm_up_seconds=max((one.warm_up_seconds for one in asked), default=0.0),
        answers=len(answers),
        cached=sum(answer.cached for answer in answers),
        seconds=mean_seconds(outcomes, label),
        tokens_per_second=fmean(speeds) if speeds else None,
        stop_rate=fmean(answer.stopped for answer in answers) if answers else None,
        rss_bytes=max((one.rss_bytes for one in asked), default=0),
        vram_bytes=max((one.vram_bytes for one in asked), default=0),
    )


def _who(event: journal.Identified) -> tuple[str, str, str, str]:
    return event.engine, event.version, event.model, event.digest
