"""From failing prompts to lessons: one pass over what was learned from, one look into the search index per term."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import msgspec

from lora_tui.dataset.model import Dataset
from lora_tui.verify.lessons import learned as learning
from lora_tui.verify.lessons.candidates import Proposing, rated
from lora_tui.verify.lessons.learned import Learned
from lora_tui.verify.lessons.lesson import Failing, Lesson, Missing, Near, TooAlike
from lora_tui.verify.lessons.mentions import Finder
from lora_tui.verify.lessons.missing import missing
from lora_tui.verify.lessons.nearest import nearest, telling, weights
from lora_tui.verify.lessons.pool import Pool
from lora_tui.verify.lessons.terms import Term, Words, terms
from lora_tui.workspace.layout import Workspace

_NEAREST = 3
_SHARED = 5  # terms in common that are named


class Basis(msgspec.Struct, frozen=True):
    """What the fine-tune learned from; no datasets: all accepted examples, and `note` says why."""

    datasets: tuple[Dataset, ...] = ()
    note: str = ""

    @property
    def label(self) -> str:
        """As people name it."""
        return ", ".join(dataset.label for dataset in self.datasets)


def teach(
    workspace: Workspace,
    suite: str,
    failing: Sequence[Failing],
    basis: Basis,
    prompts: Sequence[str] = (),
    cancelled: Callable[[], bool] = lambda: False,
) -> list[Lesson]:
    """A lesson for each failing prompt, in their order; fewer when `cancelled` says so meanwhile.

    prompts: all of the suite, failing or not: nothing that is too much like one of them is proposed.
    Reads the workspace and writes nothing. 25 prompts, 5,000 rows and 70,000 examples take two CPU seconds: call it in
    a thread. Raises BadInput where a dataset version is damaged.
    """
    if not failing:
        return []
    about = [terms(item.prompt, item.expectations_missed, item.language) for item in failing]
    finder = Finder(term.words for found in about for term in found)
    languages = {item.language for item in failing}
    if basis.datasets:
        learned = learning.of_datasets(basis.datasets, finder, languages, cancelled)
    else:
        learned = learning.of_accepted(workspace, finder, languages, cancelled)
    prompts = (*prompts, *(item.prompt for item in failing))
    teacher = _Teacher(workspace, basis, learned, Proposing(workspace, suite, prompts), suite)
    alike: list[tuple[TooAlike, ...]] = []
    for item, found in zip(failing, about, strict=True):
        alike.append(() if cancelled() else teacher.too_alike(item, found))
    teacher.leave_out(alike)
    lessons = []
    for item, found, same in zip(failing, about, alike, strict=True):
        if cancelled():
            break
        lessons.append(teacher.lesson(item, found, same))
    return lessons


class _Teacher:
    def __init__(
        self, workspace: Workspace, basis: Basis, learned: list[Learned], proposing: Proposing, suite: str
    ) -> None:
        self._workspace, self._suite, self._basis, self._learned = workspace, suite, basis, learned
        self._pool, self._proposing = Pool(workspace), proposing
        self._frequency = Counter(words for item in learned for words in item.terms)

    def too_alike(self, failing: Failing, about: Sequence[Term]) -> tuple[TooAlike, ...]:
        """The undecided examples that are too much like the prompt."""
        return self._proposing.too_alike(rated(about, (), self._weight(about), self._pool, failing.language))

    def leave_out(self, alike: Iterable[Iterable[TooAlike]]) -> None:
        """From here on these do not count as candidates."""
        self._pool.leave_out({item.example for some in alike for item in some})

    def _weight(self, about: Sequence[Term]) -> dict[Words, float]:
        texts = len(self._learned) + len(self._pool)
        frequency = {term.words: self._frequency[term.words] + len(self._pool.mentioning(term)) for term in about}
        return weights(about, frequency, texts)

    def lesson(self, failing: Failing, about: Sequence[Term], too_alike: tuple[TooAlike, ...]) -> Lesson:
        """What one prompt teaches."""
        pool, language = self._pool, failing.language
        learned = [item for item in self._learned if language in ("", item.language)]
        known = Counter(words for item in learned for words in item.terms)
        weight = self._weight(about)
        lacking = missing(about, known, len(learned), pool, language, weight)
        words = {term.words for term in lacking}
        among = rated(about, words, weight, pool, language)
        return Lesson(
            number=failing.number,
            suite=self._suite,
            prompt=failing.prompt,
            language=language,
            expectations_missed=failing.expectations_missed,
            learned_from=self._basis.label,
            examples=len(learned),
            missing=tuple(
                Missing(
                    term=term.text,
                    known=known[term.words],
                    accepted=pool.count(term, language, "accept"),
                    unlabelled=pool.count(term, language, ""),
                )
                for term in lacking
            ),
            near=tuple(self._near(share, item, about, weight) for share, item in nearest(learned, weight, _NEAREST)),
            candidates=self._proposing.of(failing, about, words, weight, among),
            too_alike=too_alike,
            note=self._basis.note,
        )

    def _near(self, share: float, item: Learned, about: Sequence[Term], weight: dict[Words, float]) -> Near:
        return Near(
            example=item.example or self._example(item.key),
            row=item.row,
            request=item.request,
            language=item.language,
            share=round(share, 3),
            shared=tuple(telling(item.terms, about, weight, _SHARED)),
        )

    def _example(self, key: str) -> int:
        """The example a row was made of; 0 when the workspace does not have it (any more)."""
        query = "SELECT id FROM example WHERE key = ? ORDER BY dropped IS NOT NULL, id LIMIT 1"
        found = self._workspace.connection().execute(query, (key,)).fetchone() if key else None
        return int(found[0]) if found else 0
