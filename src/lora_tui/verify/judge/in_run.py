"""A run's judge: it reads what `llm-rubric` asks for, once every side has answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from lora_tui.jobs.journal import AnyEvent, Identified, Progress, Warned
from lora_tui.verify.endpoints import Patience, opened
from lora_tui.verify.judge import grading
from lora_tui.verify.judge.asking import Judge, same_as, warning
from lora_tui.verify.reports.concluding import Heard
from lora_tui.verify.reports.report import JUDGE
from lora_tui.verify.running.kept import Kept
from lora_tui.verify.suites.suite import Suite
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace


async def read(
    workspace: Workspace,
    name: str,
    folder: Path,
    suite: Suite,
    sides: Mapping[str, str],
    heard: Heard,
    write: Callable[[AnyEvent], None],
    is_stopped: Callable[[], bool],
    *,
    fresh: bool = False,
    patience: Patience | None = None,
) -> bool:
    """Have every answer judged that waits for it; False when it was stopped before.

    A judge that cannot be asked fails nothing: its expectations stay "not run", with the reason.
    """
    places = grading.waiting(suite.cases, heard.answers)
    if not places:
        return True
    done, total = 0, len(places)

    def tell(event: AnyEvent) -> None:
        nonlocal done
        write(event)
        done += 1
        write(Progress(stage="judging", done=done, total=total))

    write(Progress(stage="judging", done=0, total=total))
    try:
        async with opened(workspace, [name], folder, patience=patience) as (endpoint,):
            identity = await endpoint.identify()
            known = [(label, typed, heard.identified.get(label)) for label, typed in sides.items()]
            own = same_as(identity, name, known)
            notes = (*identity.notes, warning(own)) if own else identity.notes
            write(
                Identified(
                    side=JUDGE,
                    engine=identity.engine,
                    model=identity.model,
                    version=identity.version,
                    digest=identity.digest,
                    proven=identity.proven,
                    notes=notes,
                )
            )
            places = grading.waiting(suite.cases, heard.answers)  # all, where another judge has read some
            total = len(places)
            if own:
                write(Warned(message=warning(own), advice="Let another model judge.", code="judge"))
            judge = Judge(endpoint, identity, Kept(workspace, identity, fresh=fresh))
            return await grading.grade(judge, suite.cases, heard.answers, places, tell, is_stopped)
    except LoraTuiError as error:
        write(Warned(message=f"nothing is judged: {error.what}", advice=error.fix, code="judge"))
        for place in grading.waiting(suite.cases, heard.answers):
            tell(grading.without(suite.cases, heard.answers[place], error))
        return True
