"""What went wrong, or may: out of memory, warnings, a stop by a guard. The newest stand where they are seen."""

from __future__ import annotations

from collections.abc import Sequence

from lora_tui.jobs import journal
from lora_tui.jobs.event_words import out_of_memory
from lora_tui.jobs.story import Story
from lora_tui.tui.safe_text import fit, one_line
from lora_tui.tui.widgets.live_lines import Line
from lora_tui.tui.widgets.wrap import wrap

Alert = tuple[str, str]  # words and tone
_PASSING = ("connection", "service")  # trouble that is over as soon as anything else is heard


def alerts(story: Story) -> tuple[Alert, ...]:
    """Those since the run was last started by somebody and not over, oldest first."""
    events: list[journal.OutOfMemory | journal.Warned | journal.Stopped] = []
    events += [event for event in story.out_of_memory if event.time >= story.began]
    events += [event for event in story.warnings if event.time >= story.began and not _is_over(event, story)]
    if isinstance(story.last_word, journal.Stopped) and story.last_word.reason:
        events.append(story.last_word)
    return tuple(_alert(event) for event in sorted(events, key=lambda event: event.time))


def _is_over(event: journal.Warned, story: Story) -> bool:
    return event.code in _PASSING and story.last_time > event.time


def _alert(event: journal.OutOfMemory | journal.Warned | journal.Stopped) -> Alert:
    match event:
        case journal.OutOfMemory():
            return one_line(out_of_memory(event)), "bad"
        case journal.Warned():
            place = f"step {event.step}: " if event.step else ""
            return one_line(f"{place}{event.message.rstrip('.')}. {event.advice}"), "warn"
        case journal.Stopped():
            return one_line(f"stopped at step {event.step}: {event.reason}"), "bad"


def lines(found: Sequence[Alert], most: int, width: int) -> Sequence[Line]:
    """The newest alerts in at most `most` lines."""
    shown: list[Line] = []
    hidden = len(found)
    for number, (text, tone) in enumerate(reversed(found)):
        wrapped = list(wrap(text, width - 4))
        room = most - len(shown)
        if number and len(wrapped) > room:
            break
        hidden -= 1
        if len(wrapped) > room:
            wrapped = [*wrapped[: room - 1], wrapped[room - 1][: width - 5] + "…"]
        shown += [[(f" {'!' if not row else ' '} {line}", tone)] for row, line in enumerate(wrapped)]
        if len(shown) >= most:
            break
    if hidden and shown:
        text, tone = shown[-1][0]
        shown[-1] = [(fit(f"{text}  ({hidden} more in the log)", width - 1).rstrip(), tone)]
    return shown
