"""What a model is asked and answers: replies, leaks, templates, verification prompts."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from code_projects import BASKET, ruby_project
from lora_tui.curation.augment import checks
from lora_tui.curation.augment.candidate import Candidate, Written
from lora_tui.curation.augment.candidates import candidates
from lora_tui.curation.augment.folders import code_files, folders
from lora_tui.curation.augment.project import Project
from lora_tui.curation.augment.requests import as_rating, as_reply, asks_for_request, doc_text, offline
from lora_tui.curation.augment.similar import Seen
from lora_tui.curation.suites import Suites
from lora_tui.workspace.layout import Workspace

GOOD = {"intent": "sum", "prompt": "Please sum up the basket.", "needs_context": ["LIMIT"], "forbidden": []}


@pytest.fixture
def found(workspace: Workspace, tmp_path: Path) -> dict[str, Candidate]:
    (folder,) = folders(workspace, [ruby_project(tmp_path / "shop")])
    every = candidates(Project(code_files(folder, "ruby"), "ruby"), ["implement", "test"])
    return {one.name: one for one in every if isinstance(one, Candidate)}


@pytest.mark.parametrize(
    "said",
    [
        json.dumps(GOOD),
        f"```json\n{json.dumps(GOOD)}\n```",
        f"<think>maybe {{x}}</think>\n{json.dumps(GOOD)}",
        f"Here it is:\n{json.dumps(GOOD, indent=2)}\nDone.",
    ],
)
def test_a_reply_is_read_whatever_stands_around_its_json(said: str) -> None:
    reply = as_reply(said)
    assert reply is not None
    assert reply.prompt == GOOD["prompt"]
    assert reply.needs_context == ("LIMIT",)


@pytest.mark.parametrize(
    "said", ["", "no", "{", "[]", '{"prompt": 3}', '{"prompt": " ", "intent": ""}', '{"intent": "x"}']
)
def test_what_is_not_the_reply_asked_for_is_none(said: str) -> None:
    assert as_reply(said) is None


@pytest.mark.parametrize(("said", "rating"), [('{"rating": 4}', 4), ('{"rating": "5", "why": "ok"}', 5)])
def test_ratings_are_read(said: str, rating: int) -> None:
    rated = as_rating(said)
    assert rated is not None
    assert rated.rating == rating


@pytest.mark.parametrize("said", ['{"rating": 0}', '{"rating": 6}', '{"rating": "good"}', "4"])
def test_other_ratings_are_none(said: str) -> None:
    assert as_rating(said) is None


def test_the_model_sees_the_code_and_what_the_assistant_will_see(found: dict[str, Candidate]) -> None:
    asked = asks_for_request(found["total"])[-1]["content"]
    assert "sum = items.sum" in asked
    assert "attr_reader :items" in asked
    assert "of `Shop::Basket` in lib/shop/basket.rb" in asked


def test_a_request_that_quotes_eight_tokens_of_the_answer_leaks(found: dict[str, Candidate]) -> None:
    total = found["total"]
    assert checks.leaks(total, "Write it with sum = items.sum { |item| item.price * item.count } please.")
    assert not checks.leaks(total, "Write total in Basket: the prices summed, the discount off, never below zero.")


def test_the_signature_and_the_doc_comment_may_be_quoted(found: dict[str, Candidate]) -> None:
    words = found["count_words"]
    assert not checks.leaks(words, f"Write def count_words(text). {doc_text(words.doc)}")
    assert not checks.leaks(found["total"], "I need `def total(discount = 0)` in module Shop, class Basket.")


def test_phrases_the_model_itself_calls_forbidden_leak(found: dict[str, Candidate]) -> None:
    assert checks.leaks(found["total"], "Use divmod on the cents.", ("divmod on the cents",))
    assert not checks.leaks(found["total"], "Write total.", ("total", "lib/shop/basket.rb"))


def test_an_answer_that_does_not_parse_is_noticed(found: dict[str, Candidate]) -> None:
    words = found["count_words"]
    assert not any(checks.unparsed(one) for one in found.values())
    cut = words.code[: words.code.index("end\n")]
    placed = msgspec.structs.replace(words.placed, written=(Written(words.path, cut),))
    assert checks.unparsed(msgspec.structs.replace(words, code=cut, placed=placed))


def test_templates_say_what_the_doc_comment_says(found: dict[str, Candidate]) -> None:
    request, fit = offline(found["total"])
    assert "The sum of all prices with the discount taken off, in cents, and never less than nothing." in request
    assert "@param" not in request
    assert "total" in request
    assert fit == 4


def test_templates_without_a_doc_comment_count_as_a_bad_fit(found: dict[str, Candidate]) -> None:
    request, fit = offline(found["grouped"])
    assert "def grouped" in request
    assert fit == 3


@pytest.mark.parametrize(
    ("doc", "text"),
    [
        ("# Adds.\n#\n# @param a [Integer]\n# @return [Integer]", "Adds."),
        ("/// Adds two numbers\n/// - Parameter a: one\n/// - Returns: both", "Adds two numbers."),
        ("/**\n * Adds.\n * @param a one\n */", "Adds."),
        ('"""Adds.\n\nArgs:\n    a: one\n"""', "Adds."),
        ("// rubocop:disable Metrics\n# Adds", "Adds."),
        ("# Gets it.\n#\n# ==== Parameters\n# source:: the address", "Gets it."),
        ("# " + "One sentence of six words here. " * 40, " ".join(["One sentence of six words here."] * 13)),
        ("", ""),
    ],
)
def test_doc_comments_become_prose(doc: str, text: str) -> None:
    assert doc_text(doc) == text


def test_a_request_like_a_verification_prompt_is_noticed(workspace: Workspace) -> None:
    prompt = "Write a function that counts the words of a text, most frequent ones first, without regard to case."
    folder = workspace.profiles / "suites"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mine.yaml").write_text(
        "prompts: ['In {{language}}: {{task}}']\ntests:\n"
        f"  - vars: {{language: Ruby, task: {json.dumps(prompt)}}}\n    assert: [{{type: contains, value: def}}]\n"
    )
    (folder / "damaged.yaml").write_text("tests: [}")
    suites = Suites(workspace)
    assert suites.like(prompt + " It is urgent.") == "mine"
    assert (
        suites.like("Write a class for a basket that sums up prices, takes a discount off and is never negative.") == ""
    )


def test_nearly_the_same_code_is_found_and_other_code_is_not() -> None:
    seen = Seen()
    seen.add(BASKET, "one")
    assert seen.like(BASKET.replace("LIMIT", "MOST"), 0.7) == "one"
    assert seen.like(BASKET, 0.7, without="one") == ""
    assert seen.like("def other(a)\n  a.each { |b| puts b }\nend\n", 0.7) == ""
