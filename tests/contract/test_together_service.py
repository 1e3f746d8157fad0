"""What we take Together's service to be, held against the true one when $LORA_TUI_TOGETHER_LIVE and a key are set.

Only what reads and costs nothing is asked. Without them the same checks run against the fake, so that the two agree.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from lora_tui.backends.together.client import connected, in_project
from lora_tui.backends.together.limits import base_for, limits_of, supported
from lora_tui.workspace.keys import has_key
from together_runs import service

if TYPE_CHECKING:
    from together import Together

LIVE = bool(os.environ.get("LORA_TUI_TOGETHER_LIVE")) and has_key("TOGETHER_API_KEY")


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Together]:
    if LIVE:
        yield connected()
        return
    with service(monkeypatch):
        yield connected()


def test_the_key_belongs_to_a_project(client: Together) -> None:
    assert in_project(client).project_id


def test_there_are_bases_to_fine_tune(client: Together) -> None:
    names = [item["name"] for item in supported(client)]
    assert "Qwen/Qwen2.5-7B-Instruct" in names


def test_the_limits_of_a_base_say_what_the_form_needs(client: Together) -> None:
    found = limits_of(client, "Qwen/Qwen2.5-7B-Instruct")
    assert found is not None
    limits, _ = found
    assert limits.lora_training.max_rank >= 16
    assert 0 < limits.lora_training.min_batch_size <= limits.lora_training.max_batch_size
    assert limits.max_num_epochs >= 3
    assert limits.max_seq_length_sft >= 4096


def test_a_base_that_is_none_of_theirs_is_told_as_such(client: Together) -> None:
    assert limits_of(client, "nobody/no-such-model") is None


def test_the_coder_of_the_same_shape_goes_by_the_instruct_model(client: Together) -> None:
    found = base_for(client, "Qwen/Qwen2.5-Coder-7B-Instruct")
    assert found is not None
    assert (found.model, found.from_hf_model) == ("Qwen/Qwen2.5-7B-Instruct", "Qwen/Qwen2.5-Coder-7B-Instruct")


def test_jobs_and_files_can_be_listed(client: Together) -> None:
    assert client.fine_tuning.list().data is not None
    assert client.files.list().data is not None
