"""The dataset at Together: exported in its form, checked, searched for secrets, uploaded once, validated by the server.

Together's SDK: files.upload asks POST /v1/files (302), PUTs the bytes, POSTs …/preprocess; the server validates by
itself and says so in processing_status.
"""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lora_tui.backends.together.client import ServiceError, asking, plain
from lora_tui.backends.together.recalled import TRAINING_FILE, VALIDATION_FILE
from lora_tui.backends.together.stay import Stay, pause
from lora_tui.curation.redact_rules import switched_off
from lora_tui.curation.redact_stream import findings
from lora_tui.dataset import exporting, stored, together_rules, versions
from lora_tui.dataset.model import Dataset
from lora_tui.jobs import journal
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.keys import hidden
from lora_tui.workspace.layout import Workspace

if TYPE_CHECKING:
    from together.lib.resources.files import FileUploadProgress

FOLDER = "together"  # in the run folder: the files as they are uploaded
_SPLITS = {TRAINING_FILE: "train", VALIDATION_FILE: "validation"}
_NAMED = 5  # rows that an error names
_TRIES = 3  # of an upload
_PATIENCE = 1800.0  # seconds that the server may take to validate a file


def validated(stay: Stay) -> None:
    """See that the run's files lie there and are valid. Raises BadInput for what must not or cannot be uploaded.

    What was uploaded before is not uploaded again; `stay.known.files` has the ids.
    """
    dataset = versions.opened(Path(stay.job.dataset))
    splits = {kind: split for kind, split in _SPLITS.items() if dataset.manifest.rows.get(split)}
    if not stay.asked.n_evals:
        splits.pop(VALIDATION_FILE, None)
    waiting = {kind: split for kind, split in splits.items() if not _lies_there(stay, kind)}
    paths = {kind: _ready(stay, dataset, split) for kind, split in waiting.items()}  # all, before any is uploaded
    for kind, path in paths.items():
        _uploaded(stay, kind, path)
    for kind in splits:
        _wait_for_validation(stay, kind)


def _lies_there(stay: Stay, kind: str) -> bool:
    identity = stay.known.files.get(kind, "")
    if not identity:
        return False
    try:
        _looked_at(stay, identity)
    except ServiceError as error:
        if error.status != 404:
            raise
        stay.remote(kind, identity, gone=True)  # somebody deleted it there
        return False
    return True


def _ready(stay: Stay, dataset: Dataset, split: str) -> Path:
    """The file to upload, checked. Raises BadInput."""
    path = stay.run.folder / FOLDER / f"{split}.jsonl"
    stay.progress(f"writing {path.name} in Together's form", 0, 0)
    made = exporting.export(dataset, "messages", path, split=split, for_together=True, force=True)
    if made.left_out:
        reasons = ", ".join(f"{reason}: {number}" for reason, number in _counted(made.left_out))
        message = f"{len(made.left_out)} rows of {split} cannot be said in Together's form and stay out ({reasons})"
        stay.log.write(journal.Warned(message=message, code="left_out"))
    for what, number in made.repaired.items():
        stay.log.write(journal.Note(message=f"{split}: {what} ({number} rows)"))
    _refuse_bad_format(path)
    _refuse_secrets(stay, dataset, split, path, {item.line for item in made.left_out})
    return path


def _counted(left_out: list[exporting.LeftOut]) -> list[tuple[str, int]]:
    return Counter(item.reason for item in left_out).most_common(3)


def _refuse_bad_format(path: Path) -> None:
    """Our rules, then the SDK's own check."""
    for problem in together_rules.check(path):
        raise BadInput(problem.message, where=f"{path}:{problem.line}", fix="Build the dataset again.")
    from together.lib.utils.files import check_file

    report: dict[str, Any] = check_file(path)
    if not report["is_check_passed"]:
        raise BadInput(
            f"Together's SDK does not take the file: {report.get('message') or 'no reason'}", where=str(path)
        )


def _refuse_secrets(stay: Stay, dataset: Dataset, split: str, path: Path, left_out: set[int]) -> None:
    """Nothing that looks like a secret leaves this machine; personal data is said."""
    ids = [row.id for number, row in enumerate(stored.rows(dataset, split), start=1) if number not in left_out]
    workspace = Workspace(Path(stay.run.file.workspace))
    with path.open("rb") as file:
        found = list(findings(file, switched_off(workspace)))
    secrets = [item for item in found if item.kind == "secret"]
    if secrets:
        rows = list(dict.fromkeys(ids[item.line - 1] for item in secrets))
        more = f" and {len(rows) - _NAMED} more" if len(rows) > _NAMED else ""
        rules = ", ".join(sorted({item.rule for item in secrets}))
        raise BadInput(
            f"{len(secrets)} secrets in {len(rows)} rows ({rules}): nothing was uploaded",
            where=f"{dataset.label}, {split}: rows {', '.join(rows[:_NAMED])}{more}",
            fix=f"Reject or edit those examples and build again; `lora-tui redact check {path}` tells the lines.",
        )
    if personal := Counter(item.rule for item in found):
        told = ", ".join(f"{number} {rule}" for rule, number in personal.most_common())
        stay.log.write(journal.Warned(message=f"{split} has what may be personal data: {told}", code="personal"))


def _uploaded(stay: Stay, kind: str, path: Path) -> None:
    """Upload it and say so. The SDK does not try the bytes themselves again; what is there twice is one file there."""
    attempt = 0
    while True:
        try:
            stay.remote(kind, _upload(stay, path))
            return
        except ServiceError as error:
            attempt += 1
            if not error.passing or attempt == _TRIES:
                raise
            stay.wait(max(error.after, pause(0.0) * attempt))


def _upload(stay: Stay, path: Path) -> str:
    stage = f"uploading {path.name}"
    stay.progress(stage, 0, path.stat().st_size)

    def sent(now: FileUploadProgress) -> None:
        stay.refuse_to_stay()
        stay.progress(stage, now.uploaded_bytes, now.total_bytes)

    with asking(stage):
        answer = stay.client.files.upload(
            path,
            purpose="fine-tune",
            check=False,  # done before any file is uploaded
            progress_callback=sent,
        )
        return str(plain(answer)["id"])


def _wait_for_validation(stay: Stay, kind: str) -> None:
    """Raises BadInput with the server's report where it finds the file invalid."""
    identity, name = stay.known.files[kind], f"{_SPLITS[kind]}.jsonl"
    began = time.monotonic()
    while True:
        about = _looked_at(stay, identity)
        status = str(about.get("processing_status") or "COMPLETED").upper()  # none: such a file is not validated
        report = about.get("validation_report") or {}
        if status == "COMPLETED":
            stay.log.write(journal.Note(message=f"Together has validated {name}{_in_words(report)}"))
            return
        if status in ("INVALID_FORMAT", "FAILED"):
            stay.remote(kind, identity, gone=True)  # of no use: a corrected one must be uploaded
            if status == "FAILED" and not report.get("error"):  # its own failure: it tells what a person can correct
                raise LoraTuiError(
                    f"Together could not validate {name}, and gives no reason",
                    where=f"file {identity}",
                    fix="Try again later; if it fails again, ask Together's support about that file.",
                )
            raise BadInput(
                f"Together finds {name} invalid: {hidden(str(report.get('error') or status.lower()))}",
                where=f"file {identity}",
                fix="Correct the dataset, build it again and start a new run.",
            )
        age = time.monotonic() - began
        if age > _PATIENCE:
            fix = f"Look again later: lora-tui runs resume {stay.run.id}"
            raise LoraTuiError(f"Together still validates {name} after {age / 60:.0f} minutes", where=identity, fix=fix)
        stay.progress(f"Together validates {name}", 0, 0)
        stay.wait(pause(age))


def _looked_at(stay: Stay, identity: str) -> dict[str, Any]:
    with asking(f"looking at file {identity}"):
        return plain(stay.client.files.retrieve(identity))


def _in_words(report: dict[str, Any]) -> str:
    facts = [f"{report['nlines']} rows"] if report.get("nlines") else []
    facts += [str(report["dataset_format"]).lower()] if report.get("dataset_format") else []
    names = ("tools", "reasoning", "message_weights", "sample_weights")
    facts += [name.replace("_", " ") for name in names if report.get(f"dataset_has_{name}")]
    return f": {', '.join(facts)}" if facts else ""
