"""What each kind of expectation says, in a line, for people who choose one."""

from __future__ import annotations

import msgspec

from lora_tui.jobs.checks import CARRIED, SET


class Known(msgspec.Struct, frozen=True):
    """A kind of expectation: its name and what an answer must show; `hint` is what stands in its value."""

    name: str
    about: str
    hint: str = ""
    threshold: str = ""  # what its threshold is; empty: it has none


_CHECKED = (
    Known("contains", "the answer holds a text, in these very letters", "a text"),
    Known("icontains", "holds a text; capitals do not matter", "a text"),
    Known("contains-all", "holds every one of several texts", "one text a line"),
    Known("contains-any", "holds at least one of several texts", "one text a line"),
    Known("icontains-all", "holds every one; capitals do not matter", "one text a line"),
    Known("icontains-any", "holds at least one; capitals do not matter", "one text a line"),
    Known("regex", "a regular expression is found in it (Python's)", "a pattern, as in fn\\s+main"),
    Known("equals", "is this text and nothing else; or this JSON", "a text, or JSON"),
    Known("starts-with", "begins with a text", "a text"),
    Known("is-json", "is JSON and nothing else"),
    Known("contains-json", "holds JSON somewhere"),
    Known("word-count", "has so many words", "a number, or JSON: {min: 1, max: 9}"),
    Known("levenshtein", "is a text but for a few letters", "a text", "most letters that differ; 5 without one"),
    Known("latency", "came soon enough", "", "milliseconds"),
    Known("x-code-parses", "its code can be parsed", "a language, where the prompt names none"),
    Known(
        "x-code-runs", "its code runs without an error, in the sandbox", "JSON: {harness: …, timeout: 10}, or nothing"
    ),
    Known("x-code-tests", "its code passes these tests, in the sandbox", "the tests, in the prompt's language"),
)
_JUDGED = (
    Known(
        "llm-rubric", "a judge says that it does what the text asks", "what a good answer does", "least score, 0 to 1"
    ),
    Known("similar", "means about the same as a text", "a text", "least likeness, 0 to 1"),
    Known("human", "a person votes for it"),
    Known("select-best", "a judge finds it the best of all", "what the best answer does"),
    Known("cost", "did not cost more", "", "dollars"),
)


def known() -> tuple[Known, ...]:
    """Every kind that can be chosen: those checked here first, then those that wait for somebody, with the reason."""
    named = {item.name for item in (*_CHECKED, *_JUDGED)}
    rest = (
        Known(name, f"promptfoo's; not run here: {why}", "as promptfoo has it")
        for name, why in CARRIED.items()
        if name not in named
    )
    return (*_CHECKED, *_JUDGED, *rest)


def of(name: str) -> Known:
    """What is known of a kind, `not-` or not."""
    kind = name.removeprefix("not-")
    about = "several expectations that count as one" if kind == SET else ""
    return next((item for item in known() if item.name == kind), Known(kind, about))
