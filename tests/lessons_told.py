"""A workspace as it looks when a Ruby fine-tune fails at Rack: examples, a dataset, an adapter, a report."""

from __future__ import annotations

import adapter_shelf
from lora_tui.curation import examples, labels
from lora_tui.dataset import versions
from lora_tui.jobs.journal import Answer, Check
from lora_tui.sources.model import Message
from lora_tui.verify.asking import Sampling
from lora_tui.verify.reports import files as report_files
from lora_tui.verify.reports.report import Outcome, Report, Side, passed
from lora_tui.verify.statistics import compare
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Data
from stories import calls, says, store_session, user

RACK = (
    "Write a Ruby class `RequestId` that is a Rack middleware: it puts a SecureRandom.uuid into the response header "
    '"x-request-id" unless the app has set one.'
)
HASHES = "Write a Ruby method `invert_counts` that inverts a Hash and groups its keys by their count with group_by."
SPAWN = "Write a Rust function that starts a task with `tokio::spawn` and awaits its JoinHandle."

_TOPICS = ("group_by over a Hash", "a Hash with counts", "a Comparable", "an Enumerator", "keyword arguments", "a Set")


def fill(workspace: Workspace, accepted: int = 24) -> dict[str, int]:
    """Accepted Ruby without Rack, and undecided examples; returns {what it is: example}."""
    for number in range(accepted):
        topic = _TOPICS[number % len(_TOPICS)]
        _store(workspace, f"old_{number}", f"Use {topic} for report {number}", f"puts {number} # {topic}", "rb")
    examples.refresh(workspace)
    labels.decide(workspace, list(examples.ids(workspace)), "accept", author="someone")
    stories = {
        "rack": ("Log every request of the Sinatra app", "class Log # a Rack middleware\n  def call(env)\nend", "rb"),
        "uuid": ("Give each job a SecureRandom.uuid", "job.id = SecureRandom.uuid", "rb"),
        "python": ("Port the Rack middleware to Python", "def call(env): # was a Rack middleware\n    pass", "py"),
        "the test": (RACK, "class RequestId\n  def initialize(app) # Rack middleware\n  end\nend", "rb"),
        "plain": ("Rename the column of the order list", "rename_column :orders, :a, :b", "rb"),
        "spawn": ("Run the import beside the server", "let handle = tokio::spawn(import());", "rs"),
    }
    for name, (request, code, ending) in stories.items():
        _store(workspace, name, request, code, ending)
    _store(workspace, "rejected", "Another Rack middleware, a bad one", "class Bad # Rack middleware\nend", "rb")
    examples.refresh(workspace)
    found = dict(
        workspace.connection().execute(
            "SELECT session.native_id, example.id FROM example JOIN session ON session.id = session_id"
        )
    )
    labels.decide(workspace, [found["rejected"]], "reject", author="someone")
    return found


def train(workspace: Workspace) -> None:
    """ruby@1 of what is accepted, and the adapter ruby@1.0.0 that was trained on it."""
    dataset = versions.build(workspace, "ruby", Data(languages=("ruby",)), shares=(100, 0, 0))
    about = {"dataset": dataset.label, "dataset_hash": dataset.manifest.hash}
    adapter_shelf.add(workspace, "ruby", "1.0.0", **about)


def report(
    workspace: Workspace, *, tuned: str = "adapter:ruby@1.0.0", identity: str = "20261130-120000-verify-ruby"
) -> Report:
    """Four prompts: one passes, one fails, one fails in one sample of two, one could not be had."""
    missed = Check("contains 'SecureRandom.uuid'", False)
    fine = Check("contains 'group_by'", True)
    asked = [
        (HASHES, "ruby", [(fine,), (fine,)], ""),
        (RACK, "ruby", [(missed, fine), (missed,)], ""),
        (SPAWN, "rust", [(Check("contains 'tokio::spawn'", True),), (Check("contains 'tokio::spawn'", False),)], ""),
        ("Say nothing", "ruby", [(missed,)], "the server went away"),
    ]
    outcomes = [
        Outcome(
            description=prompt[:20],
            prompt=prompt,
            language=language,
            answers={
                side: tuple(
                    Answer(number, side, "text", sample, checks, error=error) for sample, checks in enumerate(of)
                )
                for side in ("baseline", "tuned")
            },
        )
        for number, (prompt, language, of, error) in enumerate(asked)
    ]
    judged = [[passed(answer) for answer in item.answers["tuned"]] for item in outcomes[:3]]
    made = Report(
        id=identity,
        suite="ruby",
        created=1_790_000_000.0,
        sides=(Side("baseline", "base:some/base"), Side("tuned", tuned, model=tuned.partition(":")[2])),
        sampling=Sampling(),
        samples=2,
        verdict="The same.",
        result=compare(judged, judged),
        outcomes=tuple(outcomes),
    )
    report_files.write(made, workspace.reports / identity)
    return made


def _store(workspace: Workspace, name: str, request: str, code: str, ending: str) -> None:
    path = f"lib/{name.replace(' ', '_')}.{ending}"
    told: list[Message] = [
        user(request),
        *calls("write", {"filePath": path, "content": code}, "Written.", call_id=name),
        says("Done."),
    ]
    store_session(workspace, name, told)
