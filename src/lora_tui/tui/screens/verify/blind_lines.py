"""What stands around two blind answers: how far the voter is, what was asked, and at the end what the votes say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lora_tui.tui.safe_text import fit, one_line
from lora_tui.tui.screens.verify.ballot import Ballot
from lora_tui.tui.widgets.live_lines import Line, bar
from lora_tui.tui.widgets.wrap import wrap
from lora_tui.tui.wording import endpoint_name, many
from lora_tui.verify.votes import Choice, Tally

_SAID: dict[Choice, str] = {"first": "the first", "second": "the second", "equal": "as good", "bad": "both bad"}


def ballot_lines(ballot: Ballot, place: int, width: int) -> Sequence[Line]:
    """How far the voter is, and what was asked; never a word about who answered."""
    pair, said = ballot.pairs[place], ballot.given.get(place)
    done = len(ballot.given)
    head = f"{place + 1} of {many(len(ballot.pairs), 'pair')}  {done} voted  "
    question = fit(one_line(pair.question), width - 4).rstrip()
    voted = [(f"your vote: {_SAID[said]}", "good")] if said is not None else [("not voted yet", "muted")]
    return [
        [(head, ""), *bar(done / len(ballot.pairs), max(8, width // 4)), ("  ", ""), *voted],
        [("you ", "accent"), (question, "")],
    ]


def result_lines(ballot: Ballot, tally: Tally, width: int) -> Sequence[Line]:
    """What all votes come to, once the voter has seen every pair."""
    names = {side.label: endpoint_name(side.endpoint) for side in ballot.report.sides}
    lines: list[Line] = [[("every pair is voted on; u takes the last vote back", "good")]]
    for text in _told(tally, names):
        lines += [[(line, "")] for line in wrap(one_line(text), width)]
    return lines


def _told(tally: Tally, names: dict[str, str]) -> Iterator[str]:
    voters = f" of {', '.join(tally.voters)}" if len(tally.voters) > 1 else ""
    yield f"{many(tally.votes, 'vote')}{voters}, {tally.test.ties} without a preference, {tally.bad} for neither."
    yield tally.test.verdict
    yield f"The fine-tune is {names['tuned']}, the baseline {names['baseline']}."
    if tally.ranking is not None and tally.ranking.models:
        for number, one in enumerate(tally.ranking.models, start=1):
            sure = f"{one.interval.low:+.2f} to {one.interval.high:+.2f}"
            yield f"{number}. {names.get(one.model, one.model)}: {one.strength:+.2f} ({sure}), {one.wins:g} won"
    elif tally.ranking is not None:
        yield f"No ranking: {tally.ranking.why_not}."
