"""Our Vast client against the true service: its offers and the account's list. Nothing is rented.

Runs when $VAST_API_KEY is set and $LORA_TUI_CONTRACT names `vast`.
"""

from __future__ import annotations

import os

import pytest

from lora_tui.backends.renting.provider import Wanted, provider

pytestmark = pytest.mark.skipif(
    "vast" not in os.environ.get("LORA_TUI_CONTRACT", "") or not os.environ.get("VAST_API_KEY"),
    reason="set VAST_API_KEY and LORA_TUI_CONTRACT=vast",
)


def test_the_market_has_priced_offers() -> None:
    found = provider("vast").offers(Wanted(memory_gb=16))
    assert found
    assert all(offer.price_per_hour > 0 and offer.memory_gb >= 16 for offer in found)
    assert [offer.price_per_hour for offer in found] == sorted(offer.price_per_hour for offer in found)


def test_the_accounts_machines_can_be_listed() -> None:
    assert all(machine.label.startswith("lora-tui/") for machine in provider("vast").all())


def test_an_instance_that_does_not_exist_is_gone() -> None:
    assert provider("vast").look("1") is None
