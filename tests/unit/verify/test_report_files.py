"""A report read by a person, by CI and by a program: regressions first, nothing left out, no shape broken."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from judged_reports import judged
from lora_tui.cli.main import run
from lora_tui.jobs.journal import Answer, Asked, Fault
from lora_tui.verify.reports import files as report_files
from lora_tui.verify.reports import junit, report
from lora_tui.verify.reports import markdown as report_markdown
from lora_tui.verify.reports.report import Gate, Report
from lora_tui.workspace.layout import Workspace

P, F = [True], [False]
GATES = (
    Gate("success >= 98 %", False, "60 % (3 of 5)", "95 % interval 23.1 to 88.2 %"),
    Gate("better", None, "+0.0 points", "about 5 more prompts needed"),
    Gate("latency < 12 s", True, "2.00 s", "5 answers, 4 in flight"),
)


def mixed() -> Report:
    """gained, lost, failed by both, passed by both, not judged, and one that could not be had."""
    made = judged(
        [F, P, F, P, [None], P], [P, F, F, P, [None], ["it hung"]], languages=["go", "ruby"], answer={"text": "x"}
    )
    return msgspec.structs.replace(made, gates=GATES)


def headings(text: str) -> list[str]:
    return [line for line in text.splitlines() if re.match(r"#{1,3} ", line)]


def test_a_person_reads_the_verdict_first_then_the_sides_the_gates_and_the_regressions() -> None:
    seen = Asked(side="tuned", at_once=16, warm_up_seconds=0.3, rss_bytes=2_500_000_000)
    fault = Fault(side="tuned", code="no-usage", message="it counts no tokens")
    made = judged(
        [[False, False], [True, True], [True, True], [False, True]],
        [[True, True], [False, False], [False, True], [False, True]],
        languages=["go", "ruby"],
        events=[seen, fault],
        samples=2,
    )
    text = report_markdown.markdown(msgspec.structs.replace(made, gates=GATES))
    assert headings(text) == [
        "# openai:http://127.0.0.1:1/v1#tuned against openai:http://127.0.0.1:1/v1#baseline",
        "## Gates",
        "## Languages",
        "## Time",
        "## Noise",
        "## Faults",
        "## Prompts, regressions first",
        "### 2. case 1, LOST",
        "### 3. case 2, worse",
        "### 4. case 3",
        "### 1. case 0, gained",
    ]
    assert text.index(f"**{made.verdict}**") < text.index("| engine |") < text.index("## Gates")
    rows = {line.split(" | ")[0].removeprefix("| "): line for line in text.splitlines() if line.startswith("| ")}
    assert rows["passed"] == ("| passed | 5 of 8 (62 %), 95 %: 22.2 to 90.7 % | 4 of 8 (50 %), 95 %: 18.8 to 81.2 % |")
    assert rows["engine"] == "| engine | llama.cpp b1 | llama.cpp b1 |"
    assert rows["identity"].count("proven") == 2
    assert rows["to the first token"] == "| to the first token | 0.50 s | 0.50 s |"
    assert rows["tokens/s"] == "| tokens/s | 10.7 | 10.7 |"
    assert rows["requests at once"] == "| requests at once | 4 | 16 |"
    assert rows["memory at most"] == "| memory at most |  | 2.50 GB RAM |"
    assert rows["`better`"] == "| `better` | ? **undecided** | +0.0 points | about 5 more prompts needed |"
    assert "- no-usage, tuned, 1 ×: it counts no tokens" in text
    assert "run again, it would differ from itself by up to" in text


def test_an_answer_cannot_break_out_of_its_place_in_the_markdown() -> None:
    nasty = "```rust\nfn a() {}\n```\n# no heading\n| no | table |"
    made = judged([F], [P], answer={"text": nasty}, prompts=["```\n# neither\n````"])
    text = report_markdown.markdown(made)
    outside = re.sub(r"^(`{3,})text\n.*?\n\1$", "", text, flags=re.S | re.M)
    assert "no heading" not in outside
    assert "neither" not in outside
    assert nasty in text


def shape_of(root: ElementTree.Element) -> None:
    """What the JUnit schema in circulation (windyroad/JUnit-Schema, JUnit.xsd) asks of a report."""
    assert root.tag == "testsuites"
    for number, suite in enumerate(root):
        assert (suite.tag, suite.get("id")) == ("testsuite", str(number))
        required = {"name", "timestamp", "hostname", "tests", "failures", "errors", "time", "id", "package"}
        assert set(suite.attrib) == required | {"skipped"}
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", suite.get("timestamp", ""))
        kinds = [child.tag for child in suite]
        cases = suite.findall("testcase")
        assert kinds == ["properties", *["testcase"] * len(cases), "system-out", "system-err"]
        assert all(set(item.attrib) == {"name", "value"} for item in suite.iter("property"))
        for case in cases:
            assert set(case.attrib) == {"name", "classname", "time"}
            float(case.get("time", ""))
            assert [child.tag for child in case] in ([], ["skipped"], ["failure"], ["error"])
            assert all({"type", "message"} == set(child.attrib) for child in case if child.tag != "skipped")
        counted = {tag: len(suite.findall(f"testcase/{tag}")) for tag in ("failure", "error", "skipped")}
        assert counted == {
            "failure": int(suite.get("failures", "")),
            "error": int(suite.get("errors", "")),
            "skipped": int(suite.get("skipped", "")),
        }
        assert len(cases) == int(suite.get("tests", ""))


def test_junit_has_a_case_for_each_prompt_and_names_regressions() -> None:
    root = ElementTree.fromstring(junit.xml(mixed()))
    shape_of(root)
    prompts, gates = root
    found = {}
    for case in prompts.findall("testcase"):
        said = next(iter(case), None)
        found[case.get("name")] = (None, None) if said is None else (said.tag, said.get("type"))
    assert found == {
        "1. case 0": (None, None),
        "2. case 1": ("failure", "regression"),
        "3. case 2": ("failure", "failed"),
        "4. case 3": (None, None),
        "5. case 4": ("skipped", None),
        "6. case 5": ("error", "hang"),
    }
    lost = prompts.findall("testcase")[1]
    assert lost.get("classname") == "dozen.ruby"
    assert lost[0].get("message") == "regression: 0 of 1 answers passed, of the baseline's 1 of 1"
    assert "✗ contains 'good'" in (lost[0].text or "")
    outcomes = [[child.tag for child in case] for case in gates.findall("testcase")]
    assert outcomes == [["failure"], ["error"], []]  # undecided passes nothing


def test_junit_is_xml_whatever_an_answer_holds() -> None:
    text = "\x00\x1b[31m\ud800 <b>&]]>\ufffe"
    made = judged([P], [F], answer={"text": text.encode("utf-8", "replace").decode()})
    root = ElementTree.fromstring(junit.xml(made))
    shape_of(root)
    assert "<b>&]]>" in (root[0].findall("testcase")[0][0].text or "")


def test_a_report_is_exported_in_every_shape(
    workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = mixed()
    report_files.write(made, workspace.reports / made.id)

    def export(*words: str) -> str:
        assert run(["--workspace", str(workspace.root), "reports", "export", "latest", *words]) == 0
        return capsys.readouterr().out

    assert export() == export("--markdown") == (workspace.reports / "r1" / "report.md").read_text()
    assert msgspec.json.decode(export("--json"), type=Report) == made
    shape_of(ElementTree.fromstring(export("--junit")))
    lines = export("--answers").splitlines()
    assert len([msgspec.json.decode(line, type=Answer) for line in lines]) == 12
    export("--junit", "--output", str(tmp_path / "made.xml"))
    shape_of(ElementTree.parse(tmp_path / "made.xml").getroot())
    assert run(["--workspace", str(workspace.root), "reports", "export", "latest", "--junit", "--json"]) == 2


def test_the_list_says_what_is_proven_and_how_the_gates_stand(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    better = judged([F] * 20, [P] * 20, identity="r1")
    for made in (better, msgspec.structs.replace(mixed(), id="r2", created=better.created + 1)):
        report_files.write(made, workspace.reports / made.id)
    assert run(["--workspace", str(workspace.root), "reports", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.search(r"r2 +dozen +2/4 +2/4 +no verdict +failed ", lines[1])
    assert re.search(r"r1 +dozen +20/20 +0/20 +better ", lines[2])
    assert run(["--workspace", str(workspace.root), "reports", "list", "--json"]) == 0
    first = json.loads(capsys.readouterr().out)[0]
    assert (first["tuned"], len(first["gates"])) == ("openai:http://127.0.0.1:1/v1#tuned", 3)


def test_gates_are_held_against_a_report_that_is_there(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    made = judged([F] * 20, [P] * 20)
    report_files.write(made, workspace.reports / made.id)

    def code(*words: str) -> int:
        return run(["--workspace", str(workspace.root), "reports", "gates", *words])

    assert code("r1") == 2  # none is named, and it was made without
    assert code("r1", "--gate", "better", "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["passed"] is True
    assert code("r1", "--gate", "success >= 98 %") == 3
    assert code("r1", "--gate", "latency < 1 s", "--gate", "success >= 98 %") == 1


def test_an_adapter_without_effect_is_named_and_a_model_against_itself_is_not() -> None:
    def made(**more: object) -> Report:
        rows = [P] * 4
        return judged(rows, rows, answer={"text": "the same words"}, **more)  # type: ignore[arg-type]

    (fault,) = made().faults
    assert (fault.code, fault.side, fault.times, fault.voids) == ("no-effect", "tuned", 4, False)
    assert "has no effect: it answers as the baseline does, word for word" in made().verdict
    same = {"baseline": "base:x", "tuned": "base:x"}
    assert made(endpoints=same).faults == ()
    versions = {"baseline": "adapter:rust@1.0.0", "tuned": "adapter:rust@1.1.0"}
    assert made(endpoints=versions).faults == ()  # one goes on from the other
    engines = {"baseline": "adapter:rust@1.0.0", "tuned": "vllm:http://127.0.0.1:8000#rust@1.0.0"}
    assert made(endpoints=engines).faults == ()  # one adapter, served by two engines
    elsewhere = {"baseline": "ollama:rust", "tuned": "openai:http://127.0.0.1:8000/v1#rust"}
    assert made(endpoints=elsewhere).faults == ()
    assert judged([P] * 4, [P] * 4).faults == ()
    assert judged([P] * 2, [P] * 2, answer={"text": "the same words"}).faults == ()
    assert judged([P] * 4, [P] * 4, answer={"text": ""}).faults == ()
    assert report.BASELINE in fault.message
