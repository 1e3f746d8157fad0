"""Comparisons as tests tell them: six prompts in two languages, three samples of each, two or three sides."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

import run_stories
from lora_tui.jobs import journal
from lora_tui.jobs.checks import Expectation, check
from lora_tui.jobs.job import Verify
from lora_tui.jobs.supervisor import Run
from lora_tui.verify.asking import Sampling
from lora_tui.verify.reports import files as report_files
from lora_tui.verify.reports.concluding import Heard, conclude
from lora_tui.verify.reports.report import Gate
from lora_tui.verify.suites.suite import read_suite
from lora_tui.workspace.layout import Workspace

ID = "20260922-131010-verify-five"
SAMPLES = 3
PROMPTS = (
    ("rust", "sum of squares"),
    ("rust", "parse a port"),
    ("rust", "retry with backoff"),
    ("ruby", "a Rack middleware"),
    ("ruby", "group by month"),
    ("ruby", "freeze a constant"),
)
EXPECTED = (
    Expectation("contains", "fn "),
    Expectation("regex", r"\w+::<\w+>|\.sum\("),
    Expectation("not-contains", "TODO"),
)
GOOD = "Use an iterator:\n\n```rust\nfn squares(items: &[i64]) -> i64 {\n    items.iter().map(|x| x * x).sum()\n}\n```"
BETTER = GOOD.replace("sum()", "sum::<i64>()")
BAD = "Use a loop:\n\n```rust\nfn squares(items: &[i64]) -> i64 {\n    // TODO: add them up\n    0\n}\n```"
# What came of each prompt: passes of the baseline, passes of the fine-tune.
_PASSES = ((0, 3), (3, 1), (3, 0), (0, 0), (1, 2), (3, 3))


def write_suite(workspace: Workspace) -> Path:
    """The suite of these prompts."""
    folder = workspace.profiles / "suites"
    folder.mkdir(parents=True, exist_ok=True)
    lines = ['prompts: ["{{prompt}}"]', "defaultTest:", "  assert:"]
    lines += ["    - {type: contains, value: 'fn '}", "    - {type: regex, value: '\\w+::<\\w+>|\\.sum\\('}"]
    lines += ["    - {type: not-contains, value: TODO}", "tests:"]
    for language, about in PROMPTS:
        lines += [f"  - description: {about}", f"    metadata: {{language: {language}}}"]
        lines += [f"    vars: {{prompt: 'Show me {about} in {language}.'}}"]
    path = folder / "mixed.yaml"
    path.write_text("\n".join(lines) + "\n")
    return path


def answer(prompt: int, side: str, sample: int, text: str) -> journal.Answer:
    """A complete answer, checked."""
    return journal.Answer(
        prompt=prompt,
        side=side,
        sample=sample,
        text=text,
        checks=tuple(check(item, text) for item in EXPECTED),
        tokens=30 + sample,
        first_token_seconds=0.1,
        seconds=1.0 + sample / 10,
    )


def answers(sides: Mapping[str, str]) -> list[journal.AnyEvent]:
    """Every answer of every side; a third side answers as the baseline does."""
    events: list[journal.AnyEvent] = [
        journal.Started(pid=1, host="box", total_steps=len(PROMPTS) * SAMPLES * len(sides)),
        *(
            journal.Identified(side, "llama.cpp", name, version="b7126", digest=name, proven=side != "baseline")
            for side, name in sides.items()
        ),
    ]
    for prompt, (before, after) in enumerate(_PASSES):
        for side in sides:
            passes = after if side == "tuned" else before
            good = BETTER if side == "tuned" else GOOD
            events += [answer(prompt, side, at, good if at < passes else BAD) for at in range(SAMPLES)]
    return events


def verify_job(workspace: Workspace, suite: Path, *others: str) -> Verify:
    """Three samples of each prompt, asked of tiny@1.0.0, of its base, and of others."""
    job = run_stories.verify_job(workspace, suite)
    return msgspec.structs.replace(job, samples=SAMPLES, others=others)


def write(workspace: Workspace, *others: str, identity: str = ID) -> Run:
    """A finished comparison with its report: regressions, gates, and a fault that voids nothing."""
    suite = write_suite(workspace)
    job = verify_job(workspace, suite, *others)
    sides = {"baseline": job.baseline, "tuned": job.tuned}
    sides |= {f"other {number}": name for number, name in enumerate(others, start=1)}
    events = answers(sides)
    events.append(journal.Fault("tuned", "no-usage", "the server does not count tokens"))
    finished = journal.Finished(steps=36, seconds=9.0, output=identity)
    run = run_stories.write_run(
        workspace, identity, job, f"mixed: {job.tuned} against {job.baseline}", [*events, finished]
    )
    run_stories.ended(run)
    made = conclude(
        identity, read_suite(suite), sides, Heard.of(events), sampling=Sampling(0.7), samples=SAMPLES, seconds=9.0
    )
    gates = (Gate("success >= 98 %", False, "50.0 %"), Gate("latency < 12 s", True, "1.1 s"))
    made = msgspec.structs.replace(made, created=run_stories.NOW - 600, gates=gates)
    report_files.write(made, workspace.reports / identity)
    return run
