"""Blind votes on a report, and notes: `pairs` says what to show, `of` and `cast` take a vote, `tally` counts them.

Everything lies beside the report in files that only grow.
"""

from __future__ import annotations

from lora_tui.verify.votes.casting import Choice, Vote, cast, of, open_pairs, take_back, votes
from lora_tui.verify.votes.counting import Tally, current, preferences, tally
from lora_tui.verify.votes.noting import Note, note, notes
from lora_tui.verify.votes.pairing import Pair, about, pairs

__all__ = [
    "Choice",
    "Note",
    "Pair",
    "Tally",
    "Vote",
    "about",
    "cast",
    "current",
    "note",
    "notes",
    "of",
    "open_pairs",
    "pairs",
    "preferences",
    "take_back",
    "tally",
    "votes",
]
