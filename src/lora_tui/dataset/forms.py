"""A net edit as text, in the form a dataset's answers have: SEARCH/REPLACE blocks, a unified diff, or the new code.

Every part of a file that was shown is a text by itself: a block's SEARCH occurs once in the file as shown, a diff's
line numbers count from the part's first line, new code stands for the whole part.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from lora_tui.curation.language_rules import language_of_path, rules
from lora_tui.dataset.blocks import MARK
from lora_tui.dataset.replay import Change, Part
from lora_tui.dataset.unfit import NotReplayable
from lora_tui.workspace.profiles import Form


def rendered(changes: Sequence[Change], form: Form) -> str:
    """The edits of these files as an answer. Raises NotReplayable where the form cannot say them."""
    edited = [change for change in changes if change.edited]
    if form == "diff":
        return fenced("".join(_diff(change) for change in edited), "diff")
    say = {"search-replace": _search_replace, "new-code": _new_code}[form]
    return "\n\n".join(say(change) for change in edited)


def shown(change: Change) -> str:
    """The file as it was before, for the request; empty for a file that is new."""
    return "\n\n".join(
        f"{_named(change, index)}\n{fenced(part.before, _tag(change.path))}"
        for index, part in enumerate(change.parts)
        if part.before
    )


def fenced(text: str, language: str) -> str:
    """The text between fences longer than any in it."""
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{text}{fence}"


def _tag(path: str) -> str:
    """The word behind an opening fence: the language, or the file's ending where that is no language of ours."""
    name, _, ending = path.rpartition("/")[2].rpartition(".")
    if name and ending.isalnum() and ending not in rules().by_extension:
        return ending
    return language_of_path(path)


def _named(change: Change, index: int) -> str:
    of = f" (part {index + 1} of {len(change.parts)})" if len(change.parts) > 1 else ""
    return f"`{change.path}`{of}"


def _new_code(change: Change) -> str:
    return "\n\n".join(
        f"{_named(change, index)}\n{fenced(part.after, _tag(change.path))}"
        for index, part in enumerate(change.parts)
        if part.before != part.after
    )


def _diff(change: Change) -> str:
    old = "/dev/null" if change.created else f"a/{change.path}"
    tab = "\t" if " " in change.path else ""  # how diff and git end a name with spaces
    lines: list[str] = []
    for part in change.parts:
        if part.before != part.after:
            before, after = (text.split("\n")[:-1] if text else [] for text in (part.before, part.after))
            hunks = list(difflib.unified_diff(before, after, lineterm=""))[2:]
            lines += [f"--- {old}{'' if change.created else tab}", f"+++ b/{change.path}{tab}", *hunks]
    return "".join(line + "\n" for line in lines)


def _search_replace(change: Change) -> str:
    if any(MARK.search(text) for part in change.parts for text in (part.before, part.after)):
        raise NotReplayable("a file holds the marks of SEARCH/REPLACE blocks itself", change.path)
    found = _small_blocks(change.parts)
    if not _gives(found, change.parts):
        found = [part for part in change.parts if part.before != part.after]
        if not _gives(found, change.parts):
            raise NotReplayable("the same lines occur twice in what is shown of a file", change.path)
    language = _tag(change.path)
    return "\n\n".join(
        f"{change.path}\n" + fenced(f"<<<<<<< SEARCH\n{block.before}=======\n{block.after}>>>>>>> REPLACE\n", language)
        for block in found
    )


def _small_blocks(parts: Sequence[Part]) -> list[Part]:
    """The smallest blocks of whole lines whose SEARCH occurs once in what is shown."""
    whole = [part.before for part in parts]
    return [block for part in parts if part.before != part.after for block in _blocks(part, whole)]


def _blocks(part: Part, whole: Sequence[str]) -> list[Part]:
    if not part.before:
        return [part]
    before, after = part.before.split("\n")[:-1], part.after.split("\n")[:-1]
    codes = difflib.SequenceMatcher(None, before, after).get_opcodes()
    grown: list[list[int]] = []
    for span in ([i1, i2, j1, j2] for tag, i1, i2, j1, j2 in codes if tag != "equal"):
        _grow(span, before, after, whole)
        if grown and span[0] <= grown[-1][1]:
            last = grown[-1]
            last[:] = min(last[0], span[0]), max(last[1], span[1]), min(last[2], span[2]), max(last[3], span[3])
        else:
            grown.append(span)
    return [Part(_text(before[i1:i2]), _text(after[j1:j2])) for i1, i2, j1, j2 in grown]


def _gives(blocks: Sequence[Part], parts: Sequence[Part]) -> bool:
    """Whether the blocks, applied one by one, make the edited parts, and each SEARCH occurs once before and then."""
    first, texts = [part.before for part in parts], [part.before for part in parts]
    for block in blocks:
        if not block.before:
            texts = [text or block.after for text in texts]
        elif _occurs(block.before, first) == 1 and _occurs(block.before, texts) == 1:
            texts = [text.replace(block.before, block.after) for text in texts]
        else:
            return False
    return texts == [part.after for part in parts]


def _grow(span: list[int], before: Sequence[str], after: Sequence[str], whole: Sequence[str]) -> None:
    """Take in lines around a change, one above and one below at a time, until they occur once.

    The lines around are the same on both sides up to the next change; what comes out wrong there, `_gives` finds.
    """
    i1, i2, j1, j2 = span
    while i1 == i2 or _occurs(_text(before[i1:i2]), whole) != 1:
        up = i1 > 0 and j1 > 0 and before[i1 - 1] == after[j1 - 1]
        down = i2 < len(before) and j2 < len(after) and before[i2] == after[j2]
        if not (up or down):
            break
        i1, j1 = (i1 - 1, j1 - 1) if up else (i1, j1)
        i2, j2 = (i2 + 1, j2 + 1) if down else (i2, j2)
    span[:] = i1, i2, j1, j2


def _text(lines: Sequence[str]) -> str:
    return "".join(line + "\n" for line in lines)


def _occurs(text: str, whole: Sequence[str]) -> int:
    """How often a text occurs, overlapping occurrences too: 'a' after 'a' could be meant either way."""
    count = 0
    for shown_part in whole:
        at = shown_part.find(text)
        while at >= 0 and count < 2:
            count += 1
            at = shown_part.find(text, at + 1)
    return count
