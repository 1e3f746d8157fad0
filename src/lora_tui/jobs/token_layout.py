"""A row token by token as lines of text with tones, one after another, made only as far as someone looks.

Nothing is told by colour alone: a line with something that is learned begins with ▌, and what is learned stands
between ⟦ and ⟧. Special tokens stand in ‹›, the end of a line is ↵; nothing in the text is hidden or obeyed.
"""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import cell_len, chop_cells, set_cell_size

from lora_tui.jobs.token_view import Part, Piece, Said, View
from lora_tui.jobs.token_writer import GUTTER, NO_GUTTER, TokenWriter, special
from lora_tui.jobs.visible_text import visible_line, wrapped

Line = list[tuple[str, str]]  # (text, tone) pieces

TONES = (
    "",
    "heading",
    "muted",  # what is said about the row
    "trained",
    "trained-next",  # every second token, so that one sees where tokens end
    "context",
    "context-next",
    "special",
    "special-trained",
    "cut",
    "bad",
)
REASONS = {
    "too_long": "longer than max_length",
    "no_loss": "nothing in it is learned",
    "all_loss": "all of it would be learned, the questions too",
    "not_text": "it holds pictures or files",
    "not_rendered": "the model's template cannot write it",
    "rewritten": "the model's template rewrites earlier turns",
}
LEGEND = "▌ and ⟦ ⟧ learned · ‹ › special token · ↵ end of line"

_NARROWEST = 24
_COLUMN = 18  # cells before a token's text in the table


def told(view: View) -> str:
    """One line: how long the row is and how much of it is learned."""
    place = f"{view.split}:{view.number}"
    if not view.tokens:
        return f"{place}  not counted"
    seen = sum(part.tokens for part in view.kept)
    share = f" ({view.loss_tokens / seen:.0%})" if seen else ""
    parts = f" in {len(view.parts)} parts" if len(view.parts) > 1 else ""
    return f"{place}  {_many(view.tokens)}{parts}, {view.loss_tokens:,} learned{share}, max_length {view.max_length:,}"


def flowing(view: View, width: int) -> Iterator[Line]:
    """The row as text at most `width` cells wide, every token in the tone of what it is for."""
    width = max(_NARROWEST, width)
    yield from _top(view, width)
    earlier: set[int] = set()
    for part in view.parts:
        yield from _border(view, part, width)
        writer = TokenWriter(width)
        past = 0
        for said, start, end in _sections(view, part):
            yield from writer.rest()
            if said is not None:
                yield _head(view, part, said, part.pieces[start:end], width, again=said in earlier)
                earlier.add(said)
            for number in range(start, end):
                piece = part.pieces[number]
                if past <= view.max_length < past + len(piece.ids):
                    yield from writer.rest()
                    yield [(_rule(f"max_length {view.max_length:,} ends here", width), "cut")]
                past += len(piece.ids)
                last = number + 1 == len(part.pieces) or not part.pieces[number + 1].loss
                yield from writer.write(piece, odd=bool(number % 2), last=last)
        yield from writer.rest()


def tabled(view: View, width: int) -> Iterator[Line]:
    """One token per line: its place, its id, what it stands for."""
    width = max(_NARROWEST, width)
    yield from _top(view, width)
    for part in view.parts:
        yield from _border(view, part, width)
        yield [(f"{'token':>7} {NO_GUTTER}{'id':>7} text", "muted")]
        place = 0
        for said, start, end in _sections(view, part):
            if said is not None:
                yield _head(view, part, said, part.pieces[start:end], width)
            for piece in part.pieces[start:end]:
                if place <= view.max_length < place + len(piece.ids):
                    yield [(_rule(f"max_length {view.max_length:,} ends here", width), "cut")]
                yield from _rows(piece, place, width)
                place += len(piece.ids)


def _top(view: View, width: int) -> Iterator[Line]:
    yield from ([(text, "heading")] for text in wrapped(visible_line(told(view)), width))
    yield from ([(text, "muted")] for text in wrapped(visible_line(view.row), width))
    if view.left_out:
        yield from ([(text, "bad")] for text in wrapped(f"not trained on: {why(view.left_out, view.about)}", width))
    if view.parts:
        yield from ([(text, "muted")] for text in wrapped(LEGEND, width))
    else:
        for number, said in enumerate(view.messages):
            yield [(_rule(f"{number + 1} {visible_line(said.role)}{_weight(said)}", width), "heading")]


def why(reason: str, about: str) -> str:
    """A reason for leaving out, in words."""
    return REASONS.get(reason, reason) + (f": {visible_line(about)}" if about else "")


def _border(view: View, part: Part, width: int) -> Iterator[Line]:
    """What stands before a part of a row that has several."""
    if len(view.parts) < 2:
        return
    name = f"part {part.number} of {len(view.parts)}"
    where = f", at {'an' if part.at[0] in 'aeio' else 'a'} {part.at}" if part.at else ""
    yield []
    yield [(_rule(name if part.number == 1 else f"cut here: {name}{where}", width), "cut")]
    numbers = f"{_many(part.tokens)}, {part.loss_tokens:,} learned"
    if part.left_out:
        numbers = f"{_many(part.tokens)}, not trained on: {why(part.left_out, part.about)}"
    yield from ([(text, "bad" if part.left_out else "muted")] for text in wrapped(numbers, width))


def _sections(view: View, part: Part) -> Iterator[tuple[int | None, int, int]]:
    """(message or None, first piece, piece behind the last) in order, the whole part."""
    heads = part.heads
    first = heads[0].piece if heads else len(part.pieces)
    if first:
        yield None, 0, first
    for number, head in enumerate(heads):
        end = heads[number + 1].piece if number + 1 < len(heads) else len(part.pieces)
        yield head.message, head.piece, end


def _head(view: View, part: Part, number: int, pieces: tuple[Piece, ...], width: int, *, again: bool = False) -> Line:
    said = view.messages[number]
    tokens, learned = sum(len(piece.ids) for piece in pieces), sum(piece.loss for piece in pieces)
    text = f"{number + 1} {visible_line(said.role)}  {_many(tokens) if tokens else 'no tokens of its own'}"
    if learned:
        text += f", {learned:,} learned"
    elif said.role == "assistant" and said.weight and not part.left_out:
        text += ", context here"
    return [(_rule(text + _weight(said) + (", again" if again else ""), width), "heading")]


def _weight(said: Said) -> str:
    return ", weight 0: not learned" if not said.weight else ""


def _rows(piece: Piece, place: int, width: int) -> Iterator[Line]:
    room = width - _COLUMN
    name, text = special(piece)
    text = name + visible_line(text.replace(" ", "␣"))
    tone = ("special" if name else "context") if not piece.loss else "special-trained" if name else "trained"
    gutter = GUTTER if piece.loss else NO_GUTTER
    for number, identity in enumerate(piece.ids):
        if number:
            text = f"〃 {number + 1} of {len(piece.ids)} for this"
        first, *more = chop_cells(text, max(4, room)) if cell_len(text) > room else [text]
        yield [(f"{place + number + 1:>7} ", "muted"), (gutter, "trained"), (f"{identity:>7} ", "muted"), (first, tone)]
        yield from ([(" " * _COLUMN, ""), (rest, tone)] for rest in more)
    if not piece.ids:
        yield [(f"{'-':>7} {NO_GUTTER}{'no':>7} ", "bad"), (set_cell_size(text, min(room, cell_len(text))), "bad")]


def _rule(text: str, width: int) -> str:
    text = f"── {text}"
    if cell_len(text) > width:
        return set_cell_size(text, width - 1) + "…"
    return text + " ──" if cell_len(text) + 3 <= width else text


def _many(tokens: int) -> str:
    return f"{tokens:,} token{'' if tokens == 1 else 's'}"
