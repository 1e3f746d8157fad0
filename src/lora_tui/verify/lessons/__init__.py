"""Back to curation: what the prompts that failed say about the examples, and what to label next."""

from __future__ import annotations

from lora_tui.verify.lessons.lesson import Candidate, Failing, Lesson, Missing, Near, TooAlike
from lora_tui.verify.lessons.of_report import basis_of, failing_of, lessons_of, queue, queue_name
from lora_tui.verify.lessons.teaching import Basis, teach

__all__ = [
    "Basis",
    "Candidate",
    "Failing",
    "Lesson",
    "Missing",
    "Near",
    "TooAlike",
    "basis_of",
    "failing_of",
    "lessons_of",
    "queue",
    "queue_name",
    "teach",
]
