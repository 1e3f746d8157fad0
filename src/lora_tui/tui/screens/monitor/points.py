"""A story's numbers as points over the steps, those since the last time alone."""

from __future__ import annotations

from lora_tui.jobs import journal
from lora_tui.jobs.story import Story

Points = tuple[tuple[float, float], ...]

RAW, SMOOTHED, EVAL, RATE, NORM, PACE, PASSED, GENERAL = (
    "raw",
    "smoothed",
    "eval",
    "learning rate",
    "grad norm",
    "tokens/s",
    "passed",
    "general",
)
"""The curves of a run; `smoothed` is made of `raw` by whoever draws it."""


class Telling:
    """Tells a story's points bit by bit; all anew where the story was begun anew, or steps are made again."""

    def __init__(self) -> None:
        self._of: tuple[int, journal.Started | None] | None = None
        self._metrics = self._evaluations = self._general = self._passed = 0

    def new(self, story: Story, *, over: bool, attempt: int = 0) -> tuple[bool, dict[str, Points]]:
        """Whether all is told anew, and the points. `attempt` says which story it is; `over`: no answer is to come."""
        this = (attempt, story.started)
        fresh = self._of is None or self._of[0] != attempt or self._of[1] is not story.started
        if fresh:
            self._of = this
            self._metrics = self._evaluations = self._general = self._passed = 0
        steps = story.metrics[self._metrics :]
        passed = story.pass_rates()
        if passed and not over and story.step <= passed[-1][0]:
            passed.pop()  # more answers may come to that step
        points: dict[str, Points] = {
            RAW: tuple((item.step, item.loss) for item in steps),
            EVAL: tuple((item.step, item.eval_loss) for item in story.evaluations[self._evaluations :]),
            RATE: tuple((item.step, item.learning_rate) for item in steps),
            NORM: tuple((item.step, item.grad_norm) for item in steps if item.grad_norm is not None),
            PACE: tuple((item.step, item.tokens_per_second) for item in steps if item.tokens_per_second),
            PASSED: tuple((step, 100.0 * met / of) for step, met, of in passed[self._passed :]),
            GENERAL: tuple((item.step, item.loss) for item in story.general[self._general :]),
        }
        self._metrics, self._evaluations = len(story.metrics), len(story.evaluations)
        self._general, self._passed = len(story.general), len(passed)
        return fresh, points
