"""Which code of a project becomes an answer: functions and types of a useful length that people wrote."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from lora_tui.curation.augment.candidate import Candidate, Placed, Shown
from lora_tui.curation.augment.folders import CodeFile
from lora_tui.curation.augment.placing import NoPlace, Place
from lora_tui.curation.augment.project import Project, excerpt
from lora_tui.curation.augment.table import Kind, table
from lora_tui.curation.redact import redact_text
from lora_tui.sources.code.definitions import Definition
from lora_tui.sources.code.names import outside_names
from lora_tui.sources.code.quality import parses
from lora_tui.sources.code.tokens import tokens, words

# Reasons to leave code out, in the order they are asked.
FILE_BROKEN = "its file does not parse"
BROKEN = "does not parse"
SHORT = "too short"
LONG = "too long"
OVERLAPS = "overlaps with another one"
TRIVIAL = "says too little"
UNTESTED = "the code under test was not found"
SECRET = "holds secrets or personal data"
NO_PLACE = "shares its lines with other code"


def candidates(project: Project, kinds: Iterable[Kind]) -> Iterator[Candidate | str]:
    """Every definition of the project: as a candidate, or as the reason to leave it out.

    Definitions in test files count only where tests are wanted, others only where implementations are.
    """
    wanted = set(kinds)
    for path, found in project.definitions.items():
        file = project.files[path]
        about = [(one, _is_test(file, one)) for one in found]
        chosen = [(one, test) for one, test in about if ("test" if test else "implement") in wanted]
        if not chosen:
            continue
        if not parses(file.code, project.language, path):
            yield from (FILE_BROKEN for _ in chosen)
            continue
        fitting = _without_overlap([one for one, _ in chosen if not _unfit(one)])
        for one, test in chosen:
            if test and one.kind not in ("test", "function", "method"):
                yield OVERLAPS  # a class of tests is taken test by test
            else:
                yield _unfit(one) or (OVERLAPS if one not in fitting else _candidate(project, file, one, test))


def placed(project: Project, path: str, definition: Definition, names: Iterable[str], shown: Sequence[Shown]) -> Placed:
    """The definition in its place, with the definitions of `names` shown as far as there is room. Raises NoPlace."""
    place = Place(path, project.files[path].code, definition)
    room = table().limits.context_characters
    here: list[Definition] = []
    more = list(shown)
    for file, one in project.defining(names, path):
        text = excerpt(file, one)
        if redact_text(text.text)[1]:
            continue  # nobody is shown it: neither a model now nor one that learns from this
        room -= len(text.text)
        if room < 0:
            break
        if file.path != path:
            more.append(text)
        elif not (one.doc_line <= definition.first_line <= one.last_line) and one.lines <= 2 * _most_shown():
            here.append(one)
    found = project.definitions[path]
    only = all(definition.start <= one.start and one.end <= definition.end for one in found)
    if only and place.is_nearly_all:
        return Placed(tuple(more), place.alone().written)
    return place.within(_header(found, definition), _beside(found, definition), here, more)


def find(project: Project, candidate: Candidate) -> Definition | None:
    """The definition that a candidate was made from."""
    for one in project.definitions.get(candidate.path, []):
        if one.name == candidate.name and one.signature == candidate.signature and one.parent == candidate.parent:
            return one
    return None


def _candidate(project: Project, file: CodeFile, one: Definition, test: bool) -> Candidate | str:
    language = project.language
    body = tokens(file.code, language, file.path, one.body_start, one.end)
    if len(body) < table().limits.tokens_least:
        return TRIVIAL
    shown: list[Shown] = []
    if test:
        tested = _under_test(project, file)
        if tested is None:
            return UNTESTED
        shown.append(tested)
    code = file.code[one.doc_start : one.end].decode()
    try:
        where = placed(project, file.path, one, (), shown)
    except NoPlace:
        return NO_PLACE
    if redact_text(code + "\n" + where.context)[1]:
        return SECRET
    own = outside_names(file.code, language, file.path, one.start, one.end)
    around = set(one.parent.split(".")) | {one.name}
    return Candidate(
        kind="test" if test else "implement",
        language=language,
        directory=str(file.folder.root),
        path=file.path,
        licence=file.folder.licence,
        name=one.name,
        what="test" if test else one.kind,
        parent=one.parent,
        signature=" ".join(one.signature.split()),
        doc=one.doc,
        subject="",
        before="",
        code="\n".join(Place(file.path, file.code, one).taken).rstrip("\n") + "\n",
        body=tuple(body),
        names=frozenset(name for name in own - around if not table().is_given(language, name)),
        placed=where,
    )


def _unfit(one: Definition) -> str:
    limits = table().limits
    if not one.sound:
        return BROKEN
    return SHORT if one.lines < limits.lines_least else LONG if one.lines > limits.lines_most else ""


def _is_test(file: CodeFile, one: Definition) -> bool:
    """Whether a definition is part of the tests: by its file, by its attribute, by the module around it."""
    rules = table().tests
    modules = [*one.parent.split("."), one.name if one.kind == "module" else ""]
    marked = re.match(rules.attributes, file.code[one.start : one.end].decode(errors="replace"))
    return file.is_test or one.kind == "test" or bool(marked) or any(re.match(rules.modules, name) for name in modules)


def _without_overlap(found: Sequence[Definition]) -> list[Definition]:
    """Of definitions inside each other one: the methods of a type, the tests of a group, but the outer function."""
    kept: list[Definition] = []
    for one in found:  # outer before inner
        around = [other for other in kept if other.start <= one.start and one.end <= other.end]
        if any(other.kind in ("function", "method") for other in around):
            continue
        kept = [other for other in kept if other not in around]
        kept.append(one)
    return kept


def _under_test(project: Project, file: CodeFile) -> Shown | None:
    """The code that a test is about: its own file, where tests live beside the code, else the file of that name."""
    limits = table().limits
    tested = file if not file.is_test else project.tested_by(file.path)
    if tested is None:
        return None
    lines = tested.code.decode().split("\n")
    if tested is file:
        first = min(
            (one.doc_line for one in project.definitions[file.path] if one.kind == "module" and _is_test(file, one)),
            default=len(lines) + 1,
        )
        lines = lines[: first - 1]
    text = "".join(line + "\n" for line in lines).rstrip("\n") + "\n"
    if len(text) <= limits.context_characters:
        return Shown(tested.path, text, 0 if tested is not file else 1)
    cut = text[: limits.context_characters].rsplit("\n", 1)[0] + "\n"
    return Shown(tested.path, cut, 1)


def _header(found: Sequence[Definition], one: Definition) -> Definition | None:
    around = [other for other in found if other.start < one.start and one.end <= other.end and other.kind == "type"]
    return around[-1] if around else None


def _beside(found: Sequence[Definition], one: Definition) -> list[Definition]:
    """The nearest definitions that end before it and that begin after it, if there are some."""
    before = [other for other in found if other.end <= one.doc_start and other.kind != "type"]
    after = [other for other in found if other.doc_start >= one.end and other.kind != "type"]
    return [*before[-1:], *after[:1]]


def _most_shown() -> int:
    return table().limits.context_definition


def missing_names(candidate: Candidate, said: str) -> set[str]:
    """The names that neither the request nor what is shown brings."""
    return set(candidate.names) - set(words(said)) - set(words(candidate.placed.context))
