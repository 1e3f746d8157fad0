"""What else is told of a run: TensorBoard's event files, Weights & Biases, MLflow.

TensorBoard gets what the journal gets, so that both show the same numbers. The other two are Trainer's own
integrations; one that is missing or breaks is a warning, never the end of a run. Their keys come from the environment
alone; without one, Weights & Biases keeps its files in the run folder and sends nothing, as MLflow does where no
tracking server is named.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lora_tui.jobs import journal
from lora_tui.worker import ranks
from lora_tui.workspace.profiles import Training

TENSORBOARD = "tensorboard"  # folder in the run folder
PROJECT = "lora-tui"
_INSTALL = {"tensorboard": "tensorboardX", "wandb": "wandb", "mlflow": "mlflow"}


@contextmanager
def reported(log: journal.Journal, training: Training) -> Iterator[journal.Journal]:
    """`log`, whose numbers TensorBoard gets too where the profile wants it. The first process alone reports."""
    if "tensorboard" not in training.report_to or not ranks.here().first or not _installed("tensorboard", log):
        yield log
        return
    mirrored = Mirrored(log, log.path.parent / TENSORBOARD)
    try:
        yield mirrored
    finally:
        mirrored.end()


class Mirrored(journal.Journal):
    """A journal whose numbers also go to TensorBoard's event files in `folder`, under the steps they are of.

    Steps that a resumed run makes again are taken out of the earlier files' curves.
    """

    def __init__(self, log: journal.Journal, folder: Path) -> None:
        self.path = log.path
        self._log = log
        self._folder = folder
        self._writer: Any = None
        self._met: dict[int, list[bool]] = {}  # of the suite's expectations, per step

    def write(self, event: journal.AnyEvent) -> None:
        """To the journal first: a full disk must not cost it its word."""
        self._log.write(event)
        try:
            self._mirror(event)
        except OSError as error:
            self._mirror = _nothing  # type: ignore[method-assign]
            self._log.write(journal.Warned(message=f"TensorBoard's files cannot be written: {error}", code="report"))

    def close(self) -> None:
        """Close both."""
        self.end()
        self._log.close()

    def end(self) -> None:
        """Close TensorBoard's files; the journal stays open."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _mirror(self, event: journal.AnyEvent) -> None:
        if not isinstance(event, journal.Sample | journal.Hardware):
            self._pass_rates()
        match event:
            case journal.Started():
                self._open(event.resumed_from)
            case journal.Metrics():
                self._scalars(
                    event.step,
                    {
                        "train/loss": event.loss,
                        "train/learning_rate": event.learning_rate,
                        "train/grad_norm": event.grad_norm,
                        "train/tokens_per_second": event.tokens_per_second,
                        "train/epoch": event.epoch,
                    },
                )
            case journal.Evaluation():
                self._scalars(event.step, {"eval/loss": event.eval_loss})
            case journal.General():
                self._scalars(event.step, {"general/loss": event.loss, "general/kl": event.kl})
            case journal.Sample():
                self._met.setdefault(event.step, []).extend(check.passed for check in event.checks if not check.not_run)
            case journal.Stopped() | journal.Finished() | journal.Failed() if self._writer is not None:
                self._writer.flush()

    def _open(self, resumed_from: int | None) -> None:
        from tensorboardX import SummaryWriter

        self.end()
        purge = {} if resumed_from is None else {"purge_step": resumed_from + 1}
        self._writer = SummaryWriter(str(self._folder), flush_secs=10, **purge)

    def _pass_rates(self) -> None:
        for step, met in self._met.items():
            if met:
                self._scalars(step, {"suite/pass_rate": sum(met) / len(met)})
        self._met.clear()

    def _scalars(self, step: int, values: dict[str, float | None]) -> None:
        if self._writer is None:
            return
        for name, value in values.items():
            if value is not None:
                self._writer.add_scalar(name, value, step)


def _nothing(event: journal.AnyEvent) -> None:
    """What a mirror does that broke."""


def integrations(training: Training, log: journal.Journal) -> list[Any]:
    """Trainer's callbacks for Weights & Biases and MLflow, as far as they are asked for and installed."""
    folder = log.path.parent
    found: list[Any] = []
    if not ranks.here().first:
        return found
    if "wandb" in training.report_to and _installed("wandb", log):
        _set("WANDB_PROJECT", PROJECT)
        _set("WANDB_NAME", folder.name)
        _set("WANDB_DIR", str(folder))
        _set("WANDB_SILENT", "true")
        if not os.environ.get("WANDB_API_KEY"):
            _set("WANDB_MODE", "offline")
        found += _begun("wandb", log, lambda: _integration("WandbCallback"))
    if "mlflow" in training.report_to and _installed("mlflow", log):
        _set("MLFLOW_EXPERIMENT_NAME", PROJECT)
        if importlib.util.find_spec("sqlalchemy") is not None:
            _set("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
        else:  # mlflow-skinny; it wants to be told that files are meant
            _set("MLFLOW_TRACKING_URI", f"file:{folder / 'mlruns'}")
            _set("MLFLOW_ALLOW_FILE_STORE", "true")
        found += _begun("mlflow", log, lambda: _integration("MLflowCallback"))
    return found


def _set(name: str, value: str) -> None:
    os.environ.setdefault(name, value)


def _integration(name: str) -> Any:
    from transformers import integrations as known

    return getattr(known, name)()


def _installed(name: str, log: journal.Journal) -> bool:
    package = _INSTALL[name]
    if importlib.util.find_spec(package) is not None:
        return True
    log.write(
        journal.Warned(
            message=f"training.report_to names {name}, which is not installed; the run goes on without it",
            advice=f"pip install {package}",
            code="report",
        )
    )
    return False


def _begun(name: str, log: journal.Journal, make: Callable[[], Any]) -> list[Any]:
    """The callback, made so that its first error is a warning and its last word."""
    broken = False

    def warn(error: Exception) -> None:
        nonlocal broken
        if not broken:
            broken = True
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            message = f"{name} does not work, and the run goes on without it: {reason}"
            log.write(journal.Warned(message=message, code="report"))

    def guarded(handler: Callable[..., Any]) -> Callable[..., Any]:
        def handle(*given: Any, **options: Any) -> Any:
            if broken:
                return None
            try:
                return handler(*given, **options)
            except Exception as error:  # whatever a foreign service does
                warn(error)
                return None

        return handle

    try:
        callback = make()
    except Exception as error:
        warn(error)
        return []
    for event in (name for name in dir(callback) if name.startswith("on_")):
        setattr(callback, event, guarded(getattr(callback, event)))
    return [callback]
