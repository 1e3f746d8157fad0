"""Everything before a model is asked: which code there is, in which order it is tried, what asking will take."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from lora_tui.curation.augment.candidate import Candidate
from lora_tui.curation.augment.candidates import candidates
from lora_tui.curation.augment.commits import changes
from lora_tui.curation.augment.folders import code_files, folders
from lora_tui.curation.augment.funnel import Funnel
from lora_tui.curation.augment.project import Project
from lora_tui.curation.augment.requests import asks_for_rating, asks_for_request, offline
from lora_tui.curation.augment.similar import Seen, written_code
from lora_tui.curation.augment.store import known
from lora_tui.curation.augment.table import Kind, table
from lora_tui.sources.code.grammar import GRAMMARS
from lora_tui.sources.code.grammar import known as has_grammar
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace

THERE = "there already"
SIMILAR = "like another example"

Progress = Callable[[int, int, str], None]

_CALLS = 2  # per candidate: the request and its rating


class Prepared:
    """The candidates of a language in the order they are tried, and the counts so far."""

    def __init__(self, language: str) -> None:
        self.language = language
        self.funnel = Funnel()
        self.projects: dict[str, Project] = {}
        self.candidates: list[Candidate] = []
        self.seen = Seen()
        self._next = 0

    def draw(self) -> Iterator[Candidate]:
        """The candidates one by one; what is like an example, or like one drawn before, is counted and left out."""
        least = table().limits.similar
        for candidate in self.candidates:
            self._next += 1
            own = str(candidate.example)
            if any(self.seen.like(one.new, least, own) for one in candidate.placed.written) or self.seen.like(
                candidate.code, least, own
            ):
                self.funnel.leave_out(SIMILAR)
                continue
            self.seen.add(candidate.code, candidate.native_id)
            self.funnel.tried += 1
            yield candidate

    def stop(self) -> None:
        """No more is drawn: the others were not needed."""
        self.funnel.not_needed = len(self.candidates) - self._next


class Estimate(msgspec.Struct, frozen=True):
    """What asking takes: if every request passes at once, and at most. Tokens by their usual length."""

    candidates: int
    calls: int
    tokens_in: int
    tokens_out: int
    calls_most: int
    tokens_in_most: int
    tokens_out_most: int


def prepare(
    workspace: Workspace,
    language: str,
    kinds: Sequence[Kind],
    repos: Sequence[Path],
    progress: Progress | None = None,
    *,
    with_model: bool = True,
) -> Prepared:
    """Read the folders and the mined commits, and put the candidates in order. Raises BadInput without a grammar."""
    if not has_grammar(language) or language == "tsx":
        names = ", ".join(name for name in GRAMMARS if name != "tsx")
        raise BadInput(f"cannot cut {language} code", fix=f"Known languages: {names}.")
    prepared = Prepared(language)
    funnel = prepared.funnel
    stored = known(workspace)
    found: dict[str, Candidate] = {}
    for one in _all(workspace, prepared, kinds, repos, progress or (lambda *_: None)):
        funnel.found += 1
        if isinstance(one, str):
            funnel.leave_out(one)
        elif one.native_id in stored or one.native_id in found:
            funnel.leave_out(THERE if one.native_id in stored else SIMILAR)
        else:
            found[one.native_id] = one
    prepared.candidates = sorted(found.values(), key=_place)
    if not with_model:  # what a template can say most about comes first
        prepared.candidates.sort(key=lambda candidate: -offline(candidate)[1])
    prepared.seen = written_code(workspace, language)
    return prepared


def estimate(prepared: Prepared, count: int) -> Estimate:
    """What `count` examples take, from the sizes of the candidates that come first."""
    asking = table().asking
    most = min(len(prepared.candidates), table().limits.tries * count)
    least = min(most, count)
    sizes = [_tokens(candidate) for candidate in prepared.candidates[:most]]
    written = asking.request_tokens + asking.rating_tokens
    return Estimate(
        candidates=len(prepared.candidates),
        calls=_CALLS * least,
        tokens_in=sum(sizes[:least]),
        tokens_out=least * written,
        calls_most=(_CALLS + 2) * most,  # each question may be asked a second time
        tokens_in_most=2 * sum(sizes),
        tokens_out_most=2 * most * written,
    )


def _all(
    workspace: Workspace, prepared: Prepared, kinds: Sequence[Kind], repos: Sequence[Path], progress: Progress
) -> Iterator[Candidate | str]:
    chosen = folders(workspace, repos)
    for number, folder in enumerate(chosen):
        progress(number, len(chosen), str(folder.root))
        project = Project(code_files(folder, prepared.language), prepared.language)
        prepared.projects[str(folder.root)] = project
        yield from candidates(project, kinds)
    progress(len(chosen), len(chosen), "")
    yield from changes(workspace, prepared.language, kinds)


def _place(candidate: Candidate) -> str:
    """A random place that is the same every time."""
    return hashlib.blake2b(candidate.native_id.encode(), person=b"augment order").hexdigest()


def _tokens(candidate: Candidate) -> int:
    """Tokens that both questions about a candidate send."""
    chats = (asks_for_request(candidate), asks_for_rating(candidate, ""))
    sent = sum(len(message["content"]) for chat in chats for message in chat)
    asking = table().asking
    return round(sent / asking.characters_per_token) + asking.request_tokens
