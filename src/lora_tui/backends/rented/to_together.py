"""The adapter of a run that has finished, uploaded to Together where the run was started with that wish."""

from __future__ import annotations

import time

from lora_tui.jobs import journal
from lora_tui.jobs.job import Box, Train
from lora_tui.jobs.supervisor import Run
from lora_tui.workspace.errors import LoraTuiError

PEER, KIND = "together", "model"
_OFTEN = 1.0  # seconds between two words on how far it is


def to_together(run: Run, log: journal.Journal) -> None:
    """Register and upload the adapter, once; where that fails, the run has finished all the same, with a warning."""
    job = run.file.job
    if not (isinstance(job, Train) and isinstance(job.elsewhere, Box) and job.elsewhere.upload_to_together):
        return
    for event in journal.JournalReader(run.journal).read():
        if isinstance(event, journal.Remote) and (event.peer, event.kind) == (PEER, KIND):
            return
    from lora_tui.backends.together.registry_upload import upload_adapter

    told = 0.0

    def tell(stage: str, done: int, total: int) -> None:
        nonlocal told
        if time.monotonic() - told > _OFTEN or done == total:
            told = time.monotonic()
            log.write(journal.Progress(stage=stage, done=done, total=total))

    log.write(journal.Progress(stage="upload the adapter to Together", done=0))
    try:
        identity = upload_adapter(run.folder / "adapter", run.id, job.profile.model.base, tell)
    except LoraTuiError as error:
        why = f"the adapter was not uploaded to Together: {error.what}"
        log.write(journal.Warned(message=why, advice=f"{error.fix} Later: lora-tui together upload.".strip()))
    else:
        log.write(journal.Remote(peer=PEER, kind=KIND, id=identity))
