"""How `vote` puts a pair, and says what votes come to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lora_tui.cli.output import table
from lora_tui.verify.reports.report import TUNED, Report
from lora_tui.verify.statistics import Ranking
from lora_tui.verify.votes import Note, Pair, Tally, Vote

_RULE = "─"


def asked(pair: Pair, number: int, total: int, keys: str) -> str:
    """A pair as it is shown: the prompt, the two answers under each other, nothing of whose they are."""
    head = f"{number} of {total}" if number else "prompt"
    return "\n".join(
        [
            "",
            _line(head),
            pair.question,
            _line("first answer"),
            pair.first_text,
            _line("second answer"),
            pair.second_text,
            _line(keys),
        ]
    )


def in_words(report: Report, votes: Sequence[Vote], counted: Tally, notes: Sequence[Note]) -> str:
    """Who was who, then the sign test, then the ranking of three or more."""
    rows = [
        (
            vote.prompt + 1,
            side_words(vote.first),
            side_words(vote.second),
            _preference(vote),
            vote.voter,
            short(report.outcomes[vote.prompt].description),
        )
        for vote in sorted(votes, key=lambda vote: (vote.prompt, vote.time))
    ]
    lines = [table(rows, ("prompt", "first was", "second was", "better", "voter", ""), empty="no votes yet"), ""]
    lines += [f"note on {note.prompt + 1}, {note.author}: {note.text}" for note in notes]
    lines.append(counted.test.verdict)
    several = len(counted.voters) > 1
    lines += ["A prompt that several voted on counts once, for whom more of them prefer."] if several else []
    if counted.stale:
        lines.append(f"{counted.stale} left out: their prompts were asked again since, and have other answers now.")
    if counted.ranking is not None:
        lines += ["", *ranking_words(counted.ranking)]
    return "\n".join(lines)


def side_words(label: str) -> str:
    """A side as people call it."""
    return "fine-tune" if label == TUNED else label


def short(text: str, most: int = 40) -> str:
    """As much of a text as a line of a table has room for."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def ranking_words(ranking: Ranking) -> Iterable[str]:
    """The places, strongest first, or why there are none."""
    if not ranking.models:
        return [f"No ranking: {ranking.why_not}."]
    rows = [
        (side_words(one.model), f"{one.strength:+.2f}", f"{one.interval.low:+.2f} to {one.interval.high:+.2f}")
        for one in ranking.models
    ]
    return table(rows, ("ranked", "strength", "95 % interval"), right=(1, 2)).splitlines()


def _preference(vote: Vote) -> str:
    return side_words(vote.preferred) if vote.preferred else {"equal": "as good", "bad": "both bad"}[vote.choice]


def _line(text: str) -> str:
    return f"{_RULE * 2} {text} {_RULE * max(2, 74 - len(text))}"
