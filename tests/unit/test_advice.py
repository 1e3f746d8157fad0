"""The rules of advice, on the facts that the table itself gives each of them."""

from __future__ import annotations

import re

import pytest

from lora_tui.backends import advice, shape
from lora_tui.backends.advice import Rule
from lora_tui.backends.place import Place
from lora_tui.jobs.audit import Audited, Counted, Packing
from lora_tui.workspace.profiles import Lora, Model, Profile, Training
from lora_tui.workspace.profiles.settings import with_settings

RULES = advice.rules()
PLACE = Place("CPU, 2 cores", gpu=False, available=1 << 34, total=1 << 34)


@pytest.mark.parametrize("name", RULES)
def test_a_rule_speaks_where_it_should_and_is_silent_where_it_should_not(name: str) -> None:
    rule = RULES[name]
    assert rule.holds(rule.speaks)
    assert not rule.holds(rule.silent)
    assert rule.silent.keys() == rule.speaks.keys()  # it is silent for what the facts are, not for one that is missing


@pytest.mark.parametrize("name", RULES)
def test_a_rule_says_why_and_where_that_is_from_and_what_it_tries_is_a_setting(name: str) -> None:
    rule = RULES[name]
    assert len(rule.reason) > 20
    assert re.search(r"\d{4}|\d\.\d|#\d+|RESULTS|documentation", rule.source)
    facts = facts_of()
    with_settings(PROFILE, (text.format(**facts) for text in rule.try_))


PROFILE = Profile(
    name="x",
    model=Model(base="x"),
    lora=Lora(r=64, lora_alpha=64),
    training=Training(num_train_epochs=8, learning_rate=2e-3),
)


def facts_of(profile: Profile = PROFILE, validation: int = 0) -> advice.Facts:
    """The facts of a profile on 60 rows of Rust."""
    counted = Counted(rows=60, tokens=40_000, loss_tokens=12_000, longest=900, most_loss_tokens=400)
    found = Audited(
        dataset_hash="",
        base="x",
        tokenizer="",
        max_length=1024,
        splits={"train": counted, "validation": Counted(rows=validation)},
        rows={},
        left_out=(),
        cut=(),
        findings=(),
        packing=Packing(),
        longest=900,
        vocabulary=32_000,
        hidden_size=1024,
        layers=8,
        seconds=0.0,
        by_language={"rust": 12_000},
    )
    known = shape.known()["qwen2_5-7b"]
    return advice.facts_of(profile, found, known, 160_000_000, 60, PLACE, fast_bf16=False, gpu_bf16=False)


def test_every_fact_that_a_rule_asks_for_is_one_that_a_plan_knows() -> None:
    known = set(facts_of())
    for name, rule in RULES.items():
        asked = {condition[0] for condition in rule.when}
        assert asked | rule.speaks.keys() <= known, name


def test_a_large_adapter_on_a_few_rows_without_validation_is_advised_against_with_reasons() -> None:
    told = {item.id: item for item in advice.advise(facts_of())}
    assert {"rank-above-need", "epochs-few-rows", "lr-code-high", "overfitting", "no-validation"} <= told.keys()
    assert told["rank-above-need"].text.startswith("rank 64 for 60 rows")
    assert told["rank-above-need"].settings == ("lora.r=16",)
    sensible = Profile(
        name="x",
        model=Model(base="x"),
        lora=Lora(r=8, lora_alpha=16, lora_dropout=0.05),
        training=Training(num_train_epochs=2, learning_rate=2e-4),
    )
    assert advice.advise(facts_of(sensible, validation=20)) == ()


def test_a_rule_with_a_fact_that_is_not_known_says_nothing() -> None:
    rule = Rule(when=(("moon", "==", True),), text="", reason="", source="", speaks={}, silent={})
    assert not rule.holds({"sun": True})
