"""Our RunPod client against the true service: its catalog and the account's list. Nothing is rented.

Runs when $RUNPOD_API_KEY is set and $LORA_TUI_CONTRACT names `runpod`.
"""

from __future__ import annotations

import os

import pytest

from lora_tui.backends.renting.provider import Wanted, provider

pytestmark = pytest.mark.skipif(
    "runpod" not in os.environ.get("LORA_TUI_CONTRACT", "") or not os.environ.get("RUNPOD_API_KEY"),
    reason="set RUNPOD_API_KEY and LORA_TUI_CONTRACT=runpod",
)


def test_the_catalog_has_priced_offers() -> None:
    found = provider("runpod").offers(Wanted(memory_gb=16))
    assert found
    assert all(offer.price_per_hour > 0 and offer.memory_gb >= 16 for offer in found)
    assert [offer.price_per_hour for offer in found] == sorted(offer.price_per_hour for offer in found)


def test_the_catalog_has_offers_of_clusters() -> None:
    assert all(offer.nodes == 2 for offer in provider("runpod").offers(Wanted(nodes=2, gpus=8)))


def test_the_accounts_machines_can_be_listed() -> None:
    assert all(machine.label.startswith("lora-tui/") for machine in provider("runpod").all())


def test_a_pod_that_does_not_exist_is_gone() -> None:
    assert provider("runpod").look("lora0tui0none") is None
