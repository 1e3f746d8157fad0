"""The table of secrets proves itself: every rule finds its cases and leaves the others alone."""

from __future__ import annotations

import pytest

from lora_tui.curation.redact import redact_text
from lora_tui.curation.redact_checks import CHECKS
from lora_tui.curation.redact_rules import Rule, active, table
from lora_tui.curation.redact_scan import scan
from secret_values import filled

RULES = table().rule
YES = [pytest.param(rule, case, id=f"{rule.id}-{number}") for rule in RULES for number, case in enumerate(rule.yes)]
NO = [pytest.param(rule, case, id=f"{rule.id}-{number}") for rule in RULES for number, case in enumerate(rule.no)]


def test_there_are_enough_rules_and_each_can_be_told_apart() -> None:
    assert len(RULES) >= 60
    assert len({rule.id for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule.yes, rule.id
        assert rule.no, rule.id
        assert rule.check in CHECKS, rule.id
        assert all(keyword == keyword.lower() for keyword in rule.keywords), rule.id


@pytest.mark.parametrize(("rule", "case"), YES)
def test_a_rule_finds_its_positive_cases(rule: Rule, case: str) -> None:
    for salt in "abc":
        text, values = filled(case, salt)
        found = {hit.rule.id for hit in scan(f"x = 1\n{text}\nprint(x)\n", active())}
        assert rule.id in found, text
        if rule.kind == "secret":
            safe, _ = redact_text(f"x = 1\n{text}\nprint(x)\n")
            assert not (values and values[-1] in safe and len(values) == 1), safe


@pytest.mark.parametrize(("rule", "case"), NO)
def test_a_rule_leaves_its_negative_cases_alone(rule: Rule, case: str) -> None:
    text, _ = filled(case)
    found = {hit.rule.id for hit in scan(f"x = 1\n{text}\nprint(x)\n", active()) if hit.rule.kind == rule.kind}
    assert rule.id not in found, text
