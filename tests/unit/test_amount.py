"""How many steps a plan says: with what replay mixes in, and of packs where rows are packed."""

from __future__ import annotations

import msgspec
import pytest

import run_stories
from lora_tui.backends import audits
from lora_tui.backends.amount import amount_of
from lora_tui.jobs.audit import Audited, Packing
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Profile, load_profile
from lora_tui.workspace.profiles.settings import with_settings


@pytest.fixture
def audited(workspace: Workspace) -> Audited:
    """31 rows that make 6 packs."""
    base = run_stories.write_base(workspace)
    dataset = run_stories.write_dataset(workspace)
    run_stories.write_audit(workspace, dataset)
    found = audits.ensure(workspace, dataset, str(base), run_stories.PROFILE)  # there already
    return msgspec.structs.replace(found, packing=Packing(packs=6))


def profile(*settings: str) -> Profile:
    once = ("training.num_train_epochs=2", "training.gradient_accumulation_steps=2")
    return with_settings(run_stories.PROFILE, (*once, *settings))


def test_the_steps_are_of_the_rows(audited: Audited) -> None:
    found = amount_of(profile(), audited)
    assert (found.steps, found.mixed) == (2 * 16, 0)
    assert found.tokens == pytest.approx(2 * audited.train.loss_tokens)


def test_rows_that_replay_mixes_in_make_more_steps(audited: Audited) -> None:
    found = amount_of(profile("forgetting.replay=stored", "forgetting.replay_share=0.3"), audited)
    assert found.mixed == 13
    assert found.steps == 2 * 22
    assert found.tokens == pytest.approx(2 * audited.train.loss_tokens * 44 / 31)


def test_packed_rows_make_fewer_steps_with_the_same_tokens(audited: Audited) -> None:
    found = amount_of(profile("training.packing=true"), audited)
    assert found.steps == 2 * 3
    assert found.tokens == pytest.approx(2 * audited.train.loss_tokens)


def test_max_steps_is_what_it_says(audited: Audited) -> None:
    found = amount_of(profile("training.max_steps=5"), audited)
    assert found.steps == 5
    assert found.tokens == pytest.approx(audited.train.loss_tokens * 10 / 31)


@pytest.mark.parametrize(
    "wrong",
    ["training.num_train_epochs=inf", "training.learning_rate=inf", "training.seed=-1", "lora.lora_dropout=1.0"],
)
def test_a_number_that_no_run_could_use_is_refused(workspace: Workspace, wrong: str) -> None:
    with pytest.raises(BadInput, match=wrong.partition("=")[0]):
        load_profile(workspace, "tiny", settings=[wrong])
