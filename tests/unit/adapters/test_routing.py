"""`auto`: which specialist a request goes to, and that nobody is chosen without evidence."""

from __future__ import annotations

from typing import Any

import pytest

from lora_tui.adapters.serving.names import Names
from lora_tui.adapters.serving.routing import choose

SPECIALISTS = {"rust": "build-rust", "python": "build-python", "typescript": "build-ts", "ruby": "build-ruby"}
RUST = """pub fn len<T>(items: &[T]) -> usize {
    let mut total = 0;
    for _ in items.iter() {
        total += 1;
    }
    total
}
"""
PYTHON = """def total(items):
    found = 0
    for item in items:
        found += item.price
    return found

class Basket:
    def __init__(self):
        self.items = []
"""


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def answer(text: str = "Done.") -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def edited(path: str) -> dict[str, Any]:
    call = {"id": "1", "type": "function", "function": {"name": "edit", "arguments": f'{{"filePath": "{path}"}}'}}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


@pytest.mark.parametrize(
    ("messages", "name", "kind"),
    [
        # fences and file names
        ([user(f"Why does this not compile?\n```rust\n{RUST}```")], "build-rust", "files"),
        ([user(f"Make this faster:\n```py\n{PYTHON}```")], "build-python", "files"),
        ([user("Fix the test in src/lib.rs")], "build-rust", "files"),
        ([user("Rename the class in app/models/user.rb and its spec in spec/user_spec.rb")], "build-ruby", "files"),
        ([user("Split src/App.tsx into two components")], "build-ts", "files"),
        ([user("Add a header to web/index.js")], "build-ts", "files"),  # JavaScript's nearest specialist
        ([user("Fix a.py, b.py and c.rs")], "build-python", "files"),
        # a language is named
        ([user("Write a Rust function that reads a CSV")], "build-rust", "named"),
        ([user("How do I read a file in Python?")], "build-python", "named"),
        # translations: the target writes
        ([user(f"Port this to Rust:\n```python\n{PYTHON}```")], "build-rust", "translation"),
        ([user("Please rewrite lib/basket.rb in Python")], "build-python", "translation"),
        ([user("Translate this code from Rust into TypeScript")], "build-ts", "translation"),
        # bare code
        ([user(f"What does this do?\n\n{RUST}")], "build-rust", "syntax"),
        ([user(f"What does this do?\n```\n{PYTHON}```")], "build-python", "syntax"),
        # what came before
        ([user("Look at src/main.rs"), answer(), user("And now make it shorter")], "build-rust", "files"),
        ([user("Go on with the task"), edited("src/parser.rs"), user("Now the tests")], "build-rust", "files"),
        ([user("Look at src/main.rs"), answer(), user("Now app.py")], "build-python", "files"),
        # nobody is for it, or nothing shows
        ([user("Fix main.go")], "", "files"),
        ([user("Write a Golang function")], "", "named"),
        ([user("Look at src/main.rs"), answer(), user("Now cmd/main.go")], "", "files"),
        ([user("Fix a.py and b.rs")], "", "none"),
        ([user("Hello, who are you?")], "", "none"),
        ([user("The rust on my car spreads, and the ruby ring is lost")], "", "none"),
        ([{"role": "system", "content": "You write Rust in src/main.rs"}, user("Hello")], "", "none"),
        ([user("")], "", "none"),
        ([], "", "none"),
        ([{"role": "user", "content": [{"type": "text", "text": "Fix src/lib.rs"}]}], "build-rust", "files"),
    ],
)
def test_the_specialist_is_chosen_by_the_strongest_evidence(
    messages: list[dict[str, Any]], name: str, kind: str
) -> None:
    found = choose(messages, SPECIALISTS)
    assert (found.name, found.kind) == (name, kind), found


def names(**more: Any) -> Names:
    found = Names("base", {"build-rust": "build-rust@1.0.0", "build-python": "build-python@2.0.0"}, **more)
    found.specialists = {"rust": "build-rust", "python": "build-python"}
    return found


def resolved(found: Names, model: str, *messages: dict[str, Any], **headers: str) -> str | None:
    got = found.resolve(model, {"messages": list(messages)}, headers, ["build-rust@1.0.0", "build-rust@0.9.0"])
    return got.version if got is not None else None


def test_a_name_is_its_production_version_and_a_version_is_itself() -> None:
    found = names()
    assert resolved(found, "build-rust", user("Hello")) == "build-rust@1.0.0"
    assert resolved(found, "build-rust@production", user("Hello")) == "build-rust@1.0.0"
    assert resolved(found, "build-rust@0.9.0", user("Hello")) == "build-rust@0.9.0"
    assert resolved(found, "base", user("Fix src/lib.rs")) == ""
    assert resolved(found, "", user("Hello")) == ""
    assert resolved(found, "build-go", user("Hello")) is None
    assert resolved(found, "build-rust@7.0.0", user("Hello")) is None
    assert resolved(found, "auto", user("Fix src/lib.rs")) == "build-rust@1.0.0"
    assert resolved(found, "auto", user("Hello")) == ""


def test_a_header_overrules_the_model() -> None:
    assert resolved(names(), "auto", user("Fix a.py"), **{"x-lora-tui-adapter": "build-rust"}) == "build-rust@1.0.0"


def test_a_conversation_keeps_its_specialist_though_another_language_comes_up() -> None:
    found = names()
    begun = user("Fix src/lib.rs")
    assert resolved(found, "auto", begun) == "build-rust@1.0.0"
    assert resolved(found, "auto", begun, answer(), user("The script is tools/gen.py")) == "build-rust@1.0.0"
    assert resolved(found, "auto", user("Fix tools/gen.py")) == "build-python@2.0.0"


def test_a_conversation_that_began_without_evidence_gets_its_specialist_when_there_is_some() -> None:
    found = names()
    begun = user("Hello")
    assert resolved(found, "auto", begun) == ""
    assert resolved(found, "auto", begun, answer(), user("Fix src/lib.rs")) == "build-rust@1.0.0"
    assert resolved(found, "auto", begun, answer(), user("Fix src/lib.rs"), answer(), user("Go on")) == (
        "build-rust@1.0.0"
    )


def test_a_pinned_conversation_stays_with_its_version_through_a_promotion() -> None:
    for pin, expected in ((True, "build-rust@1.0.0"), (False, "build-rust@2.0.0")):
        found = names(pin=pin)
        begun = user("Fix src/lib.rs")
        assert resolved(found, "build-rust", begun) == "build-rust@1.0.0"
        found.switch("build-rust", "build-rust@2.0.0")
        assert resolved(found, "build-rust", begun, answer(), user("Go on")) == expected
        assert resolved(found, "build-rust", user("Another one")) == "build-rust@2.0.0"


@pytest.mark.parametrize("percent", [0, 10, 50, 100])
def test_a_trial_takes_its_share_of_conversations(percent: float) -> None:
    from lora_tui.adapters.serving.names import Trial

    found = names()
    found.trials["build-rust"] = Trial("build-rust@2.0.0", percent)
    asked = [resolved(found, "build-rust", user(f"Task {number}")) for number in range(1000)]
    again = [resolved(found, "build-rust", user(f"Task {number}"), answer(), user("go on")) for number in range(1000)]
    assert asked == again
    assert abs(asked.count("build-rust@2.0.0") / 10 - percent) <= 5
