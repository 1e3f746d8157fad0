"""A small workspace with fixed times, told with the stories of tests/stories.py."""

from __future__ import annotations

from lora_tui.curation import examples, labels
from lora_tui.sources.model import Message, TextPart
from lora_tui.workspace.layout import Workspace
from stories import calls, says, store_session, user

NOW = 1_790_000_000.0  # epoch seconds: what the app's clock says
HOUR = 3_600_000  # milliseconds

RETRY = """The fetcher now retries with exponential backoff:

```rust
pub fn fetch(url: &str) -> Result<Response, Error> {
    let mut delay = Duration::from_millis(100); // doubles each time
    for attempt in 0..5 {
        match get(url) {
            Ok(found) => return Ok(found),
            Err(error) if attempt == 4 => return Err(error),
            Err(_) => std::thread::sleep(delay),
        }
        delay *= 2;
    }
    unreachable!()
}
```

`cargo test` passes; the slowest case takes 1.6 s."""


def _failing(command: str, output: str, code: int, call_id: str) -> list[Message]:
    import msgspec

    call, answer = calls("bash", {"command": command}, output, call_id=call_id)
    return [call, msgspec.structs.replace(answer, about=msgspec.structs.replace(answer.about, exit=code))]


def _edit(path: str, old: str, new: str, call_id: str) -> list[Message]:
    return calls("edit", {"filePath": path, "oldString": old, "newString": new}, "Edit applied.", call_id=call_id)


def fill(workspace: Workspace) -> None:
    """Nine sessions in five languages, three decisions."""
    attached = Message(
        role="user",
        content=[TextPart("Add a retry with backoff to the fetcher"), TextPart("<file>\nfn fetch() {}\n</file>")],
    )
    attached = _with_about(attached, synthetic=(1,))
    long_output = "\n".join(f"test net::case_{number} ... ok" for number in range(40)) + "\ntest result: ok. 40 passed"
    stories: list[tuple[str, str, list[Message]]] = [
        (
            "ses_retry",
            "Retry for the fetcher",
            [
                attached,
                _with_reasoning(
                    "The request wants retries. I look at the file first, then at its tests.\nThen I change it."
                ),
                *calls("read", {"filePath": "src/fetch.rs"}, "fn fetch() {}", call_id="r1"),
                *_edit("src/fetch.rs", "get(url)", "with_backoff(|| get(url))", "r2"),
                *_failing("cargo test", "error[E0425]: cannot find function `with_backoff`", 101, "r3"),
                *_edit("src/fetch.rs", "use std::time::Duration;", "use crate::retry::with_backoff;", "r4"),
                *_failing("cargo test", long_output, 0, "r5"),
                says(RETRY, model="anthropic/claude-sonnet-4-5"),
            ],
        ),
        (
            "ses_iter",
            "Sum of squares",
            [
                user("Sum the squares of a Vec<i64> in Rust"),
                says("```rust\nv.iter().map(|x| x * x).sum::<i64>()\n```\n```rust\nlet v = vec![1];\n```"),
            ],
        ),
        (
            "ses_ring",
            "Ring buffer",
            [
                user("Write a ring buffer in Rust with tests"),
                *_edit("src/ring.rs", "a", "b", "g1"),
                *_failing("cargo test", "test result: ok. 9 passed", 0, "g2"),
                says("Done, nine tests pass."),
            ],
        ),
        (
            "ses_form",
            "Form validation",
            [
                user("Validate the sign-up form before it is sent"),
                *_edit("web/form.tsx", "a", "b", "t1"),
                *_failing("npx tsc --noEmit", "", 0, "t2"),
                says("The form now checks the address."),
            ],
        ),
        (
            "ses_paging",
            "Paging",
            [
                user("Add paging to the order list"),
                *_edit("web/orders.ts", "a", "b", "t3"),
                *_failing("npm test", "web/orders.ts:12:3", 0, "t4"),
                says("Twenty rows per page."),
            ],
        ),
        (
            "ses_csv",
            "CSV import",
            [
                user("Read the CSV with Python and skip broken lines"),
                *_edit("tools/import.py", "a", "b", "p1"),
                *_failing("pytest -q", "3 passed", 0, "p2"),
                says("Broken lines are counted and skipped."),
            ],
        ),
        (
            "ses_rails",
            "N+1 query",
            [
                user("Why is the orders page slow?"),
                *_edit("app/models/order.rb", "a", "b", "b1"),
                *_failing("bundle exec rspec", "12 examples, 0 failures", 0, "b2"),
                says("An N+1 query; `includes(:lines)` cures it."),
            ],
        ),
        (
            "ses_wide",
            "幅の広い文字",
            [
                user("日本語の見出しを付けてください 👍 in the Swift view"),
                *_edit("App/View.swift", "a", "b", "s1"),
                *_edit("App/Root.swift", "a", "b", "s2"),
                says("見出しを付けました。"),
            ],
        ),
        (
            "ses_talk",
            "A question",
            [user("What does idempotent mean, in one sentence?"), says("Doing it twice changes nothing more.")],
        ),
    ]
    for number, (name, title, messages) in enumerate(stories):
        store_session(workspace, name, messages, title=title, created=int(NOW * 1000) - (number * 7 + 1) * HOUR)
    examples.refresh(workspace)
    found = list(examples.ids(workspace))
    labels.decide(workspace, [found[1]], "accept", author="someone")
    labels.decide(workspace, [found[3]], "reject", author="someone")
    labels.decide(workspace, [found[4]], "flag", author="someone")


def _with_about(message: Message, **about: object) -> Message:
    import msgspec

    return msgspec.structs.replace(message, about=msgspec.structs.replace(message.about, **about))


def _with_reasoning(text: str) -> Message:
    return Message(role="assistant", reasoning_content=text)
