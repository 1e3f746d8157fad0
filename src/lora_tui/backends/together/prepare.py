"""What a run at Together would do, settled before anything is uploaded or costs money."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from lora_tui.backends import audits
from lora_tui.backends.counting import Cancelled, Tell, unheard
from lora_tui.backends.intact import check_intact
from lora_tui.backends.together import settings
from lora_tui.backends.together.limits import Base, base_for, supported
from lora_tui.dataset.model import Dataset
from lora_tui.jobs import journal
from lora_tui.jobs.job import Together as Asked
from lora_tui.jobs.job import Train
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Profile, sanity

if TYPE_CHECKING:
    from together import Together

NOT_AGREED = -1.0  # as the most a job may cost: nobody has seen its price yet
_NAMED = 8  # bases that an error names


def prepared(
    client: Together,
    workspace: Workspace,
    profile: Profile,
    dataset: Dataset,
    *,
    identity: str,
    allow: Collection[str] = (),
    progress: Tell = unheard,
) -> tuple[Train, list[journal.Warned]]:
    """The job of a profile (with its values for Together) on a dataset, and what its journal begins with.

    identity: of the run; the job there carries it as its suffix, by which it is found again.
    Raises BadInput for what Together does not have or allow, and for an error of the audit that is not allowed;
    ServiceError where it cannot be asked.
    """
    sanity.refuse(profile)
    check_intact(dataset)
    base = _base(client, profile)
    settings.refuse(profile, base.limits)
    allowed, warnings = _audited(workspace, profile, dataset, allow, progress)
    warnings += _known_otherwise(profile, base)
    validation = bool(dataset.manifest.rows.get("validation"))
    if profile.training.early_stopping_patience and not validation:
        fix = "Build the dataset with validation rows, or leave it out."
        raise BadInput("training.early_stopping_patience: there are no validation rows", where=dataset.label, fix=fix)
    asked = Asked(
        model=base.model,
        from_hf_model=base.from_hf_model,
        n_evals=settings.evaluations(profile, base.limits, validation),
        n_checkpoints=settings.checkpoints(profile, base.limits),
        suffix=identity[:40],
        max_price=NOT_AGREED,
    )
    job = Train(
        profile=profile,
        base=profile.model.base,
        dataset=str(dataset.folder),
        dataset_name=dataset.label,
        dataset_hash=dataset.manifest.hash,
        allowed=allowed,
        elsewhere=asked,
    )
    return job, warnings


def _base(client: Together, profile: Profile) -> Base:
    wanted = profile.model.base
    if Path(wanted).expanduser().exists() or "/" not in wanted:
        raise BadInput(
            f"Together cannot train {wanted!r}: it knows bases by their Hugging Face names",
            where=f"profile {profile.name}, model.base",
            fix="Name one in [backends.together.model]; `lora-tui together models` lists them. A model of your own can "
            "be begun with once it lies on the Hub (from_hf_model), in the shape of one of theirs.",
        )
    if (found := base_for(client, wanted)) is not None:
        return found
    known = [str(item["name"]) for item in supported(client)]
    more = f" and {len(known) - _NAMED} more" if len(known) > _NAMED else ""
    raise BadInput(
        f"Together does not fine-tune {wanted}, nor a base of its shape",
        where=f"profile {profile.name}, model.base",
        fix=f"It has {', '.join(known[:_NAMED]) or 'none'}{more}: name one in [backends.together.model]. Or train here "
        "or on a rented GPU, merge, and upload the merged model to serve it there.",
    )


def _audited(
    workspace: Workspace, profile: Profile, dataset: Dataset, allow: Collection[str], progress: Tell
) -> tuple[tuple[str, ...], list[journal.Warned]]:
    """The audit's errors that are allowed, and warnings; one that cannot be made here is a warning itself."""
    try:
        audited = audits.ensure(workspace, dataset, profile.model.base, profile, progress=progress)
    except Cancelled:
        raise
    except LoraTuiError as error:
        advice = "Together checks the format and counts the tokens itself, but not what is learned from."
        return (), [journal.Warned(message=f"not audited: {error.what}", advice=advice, code="not_audited")]
    allowed = audits.check_allowed(dataset, audited, allow)
    return allowed, [
        journal.Warned(message=f"allowed: {finding.code}: {finding.message}", advice=finding.fix)
        for finding in audited.errors
        if allowed
    ]


def _known_otherwise(profile: Profile, base: Base) -> list[journal.Warned]:
    """What is not as it would be here, and should be known."""
    found = []
    if base.from_hf_model:
        message = f"Together has no {base.from_hf_model} of its own: it goes by {base.model}"
        found.append(journal.Warned(message=message, advice="It fetches them from the Hugging Face Hub.", code="base"))
    defaults = type(profile.training)()
    for name in ("optim", "adam_beta1", "adam_beta2", "adam_epsilon"):
        if (value := getattr(profile.training, name)) != getattr(defaults, name):
            message = f"training.{name} = {value} is not asked for: Together has its own optimizer"
            found.append(journal.Warned(message=message))
    if profile.model.load_in_4bit or profile.model.load_in_8bit:
        found.append(journal.Warned(message="Together holds the base in its own precision, not in 4 or 8 bits"))
    return found


def with_price(job: Train, max_price: float) -> Train:
    """The job with the most it may cost, in USD."""
    assert isinstance(job.elsewhere, Asked)
    return msgspec.structs.replace(job, elsewhere=msgspec.structs.replace(job.elsewhere, max_price=max_price))
