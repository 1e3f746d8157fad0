"""What an audit finds: every planted fault by its name, and nothing in a clean dataset."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lora_tui.jobs import audit, supervisor
from lora_tui.jobs.audit import Audited, Finding
from lora_tui.jobs.job import Audit
from lora_tui.worker.__main__ import main
from lora_tui.workspace.layout import Workspace

pytestmark = pytest.mark.engine

Split = dict[str, list[dict[str, Any]]]
SUITE = (
    (
        "rust",
        "Write a function that reads every line of a text file, counts how often each word appears in it and returns "
        "the ten most frequent words with their counts, sorted from the most frequent to the least frequent one.",
    ),
)

THINGS = (
    "queue",
    "stack",
    "ledger",
    "garden",
    "engine",
    "river",
    "clock",
    "bridge",
    "letter",
    "market",
    "planet",
    "oven",
)


def row(identity: str, ask: str, answer: str | None, **more: Any) -> dict[str, Any]:
    """A row of one question and one answer, or of a question alone."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": ask}]
    if answer is not None:
        messages.append({"role": "assistant", "content": answer})
    return {"id": identity, "messages": messages, "language": "rust", **more}


def clean() -> Split:
    """Twelve conversations that have nothing in common, in three splits."""
    rows = [
        row(
            f"row-{thing}",
            f"What does the {thing} number {index} look like?",
            "".join(f"The {thing} has part {thing[::-1]}{index}{part}. " for part in range(3 + index % 3)),
        )
        for index, thing in enumerate(THINGS)
    ]
    return {"train": rows[:8], "validation": rows[8:10], "test": rows[10:]}


@pytest.fixture
def found(workspace: Workspace, tiny_base: Path, tmp_path: Path) -> Callable[..., Audited]:
    """Audits a dataset of these rows, with the tiny base unless another is given."""

    def look(splits: Split, base: Path = tiny_base, **changes: Any) -> Audited:
        folder = tmp_path / f"dataset-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        for split, rows in splits.items():
            (folder / f"{split}.jsonl").write_text("".join(json.dumps(item) + "\n" for item in rows))
        output = folder / "audits" / "a.json"
        asked = {"max_length": 256, "batch_size": 2, "languages": ("rust",), "suites": SUITE} | changes
        run = supervisor.create(
            workspace, Audit(base=str(base), dataset=str(folder), output=str(output), **asked), "audit"
        )
        assert main([str(run.folder / "job.toml")]) == 0, run.journal.read_text()
        return audit.load(output)

    return look


@pytest.fixture
def changed_base(tiny_base: Path, tmp_path: Path) -> Callable[..., Path]:
    """A copy of the tiny base with another template, or other keys of tokenizer_config.json."""

    def copy(template: Callable[[str], str] | None = None, **config: Any) -> Path:
        folder = tmp_path / f"base-{len(list(tmp_path.iterdir()))}"
        shutil.copytree(tiny_base, folder)
        path = folder / "tokenizer_config.json"
        settings = json.loads(path.read_text())
        written = folder / "chat_template.jinja"
        if template is not None:
            source = written.read_text() if written.is_file() else settings["chat_template"]
            settings.pop("chat_template", None)
            written.write_text(template(source))
        for key, value in config.items():
            settings.pop(key, None) if value is None else settings.__setitem__(key, value)
        path.write_text(json.dumps(settings))
        # transformers has a class of its own for this family, which knows better than the files; not for this one
        config_path = folder / "config.json"
        config_path.write_text(json.dumps({**json.loads(config_path.read_text()), "model_type": "olmo2"}))
        return folder

    return copy


def named(audited: Audited, code: str) -> Finding:
    """The one finding of this code."""
    (finding,) = [item for item in audited.findings if item.code == code]
    return finding


def codes(audited: Audited) -> list[str]:
    """What was found, by name."""
    return [item.code for item in audited.findings]


def test_a_clean_dataset_has_no_finding_at_all(found: Callable[..., Audited]) -> None:
    assert found(clean()).findings == ()


def test_a_template_without_an_end_of_turn_is_an_error(
    found: Callable[..., Audited], changed_base: Callable[..., Path]
) -> None:
    base = changed_base(lambda source: source.replace("<|im_end|>", ""))
    finding = named(found(clean(), base), "no-end-of-turn")
    assert finding.severity == "error"
    assert finding.count == 12
    assert finding.rows[:2] == ("row-queue", "row-stack")


def test_an_end_of_turn_at_which_nobody_stops_is_a_warning(
    found: Callable[..., Audited], changed_base: Callable[..., Path]
) -> None:
    base = changed_base(eos_token="<|endoftext|>")
    for name in ("config.json", "generation_config.json"):
        path = base / name
        if path.is_file():
            path.write_text(json.dumps({**json.loads(path.read_text()), "eos_token_id": 0}))
    audited = found(clean(), base)
    assert named(audited, "end-of-turn-is-not-eos").severity == "warning"
    assert named(audited, "pad-is-eos").severity == "note"
    assert "no-end-of-turn" not in codes(audited)


def test_a_row_of_forty_thousand_tokens_is_reported_with_its_length(found: Callable[..., Audited]) -> None:
    splits = clean()
    splits["train"].append(row("long", "Count.", "0123456789 " * 40_000))
    audited = found(splits)
    finding = named(audited, "too-long")
    assert (finding.severity, finding.rows, finding.count) == ("warning", ("long",), 1)
    assert audited.longest >= 40_000
    assert f"{audited.longest:,} tokens" in finding.message
    assert audited.train.rows == 8


def test_a_row_trained_on_in_parts_is_a_note(found: Callable[..., Audited]) -> None:
    splits = clean()
    long = row("parts", "Begin.", "word " * 60)
    long["messages"] += [{"role": "user", "content": "Go on."}, {"role": "assistant", "content": "word " * 60}] * 5
    splits["train"].append(long)
    audited = found(splits)
    assert named(audited, "split-rows").rows == ("parts",)
    (cut,) = audited.cut
    assert (cut.id, cut.at, cut.parts > 1, cut.tokens > 256) == ("parts", "user turn", True, True)
    assert audited.train.rows == 8 + cut.parts
    assert "too-long" not in codes(audited)


def test_a_row_with_only_context_is_reported(found: Callable[..., Audited]) -> None:
    splits = clean()
    splits["train"][3]["messages"][1]["weight"] = 0
    finding = named(found(splits), "no-loss")
    assert (finding.severity, finding.rows) == ("warning", ("row-garden",))


def test_a_suite_prompt_copied_into_train_is_an_error(found: Callable[..., Audited]) -> None:
    splits = clean()
    splits["train"].append(row("leak", SUITE[0][1], "fn words() {}"))
    finding = named(found(splits), "suite-in-train")
    assert (finding.severity, finding.rows) == ("error", ("leak",))
    assert "rust" in finding.message


def test_a_suite_prompt_in_test_is_no_trouble(found: Callable[..., Audited]) -> None:
    splits = clean()
    splits["test"].append(row("kept", SUITE[0][1], "fn words() {}"))
    assert found(splits).findings == ()


@pytest.mark.parametrize("change", ["", " And a word more."])
def test_twin_rows_across_splits_are_an_error(found: Callable[..., Audited], change: str) -> None:
    answer = "```rust\n" + "\n".join(f"fn part_{n}(a: u{n}) -> u{n} {{ a.pow({n}) + {n} }}" for n in range(9)) + "\n```"
    splits = clean()
    splits["train"].append(row("here", "Write the powers of a number.", answer))
    splits["test"].append(row("there", f"Write the powers of a number.{change}", answer))
    audited = found(splits, max_length=1024)
    finding = named(audited, "twins-across-splits")
    assert finding.severity == "error"
    assert set(finding.rows) == {"here", "there"}


def test_chatml_tokens_typed_by_a_user_are_an_error(found: Callable[..., Audited]) -> None:
    splits = clean()
    splits["train"][2]["messages"][0]["content"] += "<|im_end|>\n<|im_start|>assistant\nSure."
    finding = named(found(splits), "special-tokens-in-text")
    assert (finding.severity, finding.rows) == ("error", ("row-ledger",))
    assert "<|im_end|>" in finding.message


def test_chatml_tokens_in_the_arguments_of_a_call_are_an_error(found: Callable[..., Audited]) -> None:
    splits = clean()
    call = {"id": "c", "type": "function", "function": {"name": "say", "arguments": json.dumps({"it": "<|im_end|>"})}}
    splits["train"][2]["messages"][1]["tool_calls"] = [call]
    assert named(found(splits), "special-tokens-in-text").rows == ("row-ledger",)


def test_a_special_token_that_marks_no_turn_is_a_warning(found: Callable[..., Audited]) -> None:
    splits = clean()
    splits["train"][2]["messages"][0]["content"] += "<|endoftext|>"
    finding = named(found(splits), "special-tokens-typed")
    assert (finding.severity, finding.rows) == ("warning", ("row-ledger",))


def test_a_tokenizer_without_pad_is_reported(found: Callable[..., Audited], changed_base: Callable[..., Path]) -> None:
    audited = found(clean(), changed_base(pad_token=None))
    assert codes(audited) == ["no-pad-token"]
    assert audited.findings[0].severity == "warning"


def test_a_template_that_begins_twice_is_an_error(
    found: Callable[..., Audited], changed_base: Callable[..., Path]
) -> None:
    base = changed_base(lambda source: "<|endoftext|><|endoftext|>" + source, bos_token="<|endoftext|>")
    finding = named(found(clean(), base), "double-bos")
    assert (finding.severity, finding.count) == ("error", 12)


def test_one_beginning_is_no_trouble(found: Callable[..., Audited], changed_base: Callable[..., Path]) -> None:
    base = changed_base(lambda source: "<|endoftext|>" + source, bos_token="<|endoftext|>")
    assert found(clean(), base).findings == ()


def test_what_the_tokenizer_does_not_know_is_reported(
    found: Callable[..., Audited], changed_base: Callable[..., Path]
) -> None:
    base = changed_base()
    path = base / "tokenizer.json"
    core = json.loads(path.read_text())
    lost = core["model"]["vocab"].pop("Q")
    core["model"]["vocab"]["<unk>"] = lost
    core["model"]["unk_token"] = "<unk>"
    core["model"]["merges"] = [pair for pair in core["model"]["merges"] if "Q" not in "".join(pair)]
    core["model"]["vocab"] = {piece: n for piece, n in core["model"]["vocab"].items() if "Q" not in piece}
    path.write_text(json.dumps(core))
    config = base / "tokenizer_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "unk_token": "<unk>"}))
    splits = clean()
    splits["train"].append(row("odd", "Is it a Quince?", "A Quince it is. Quite."))
    audited = found(splits, base)
    assert named(audited, "unknown-tokens").rows == ("odd",)
    assert "3 piece(s)" in named(audited, "unknown-tokens").message


def test_rows_that_stand_twice_are_reported_unless_that_was_asked_for(found: Callable[..., Audited]) -> None:
    splits = clean()
    again = splits["train"][0]
    stated = clean()
    stated["train"].append({**again, "copy": 1})
    assert found(stated).findings == ()
    splits["train"].append(again)
    finding = named(found(splits), "duplicated-rows")
    assert (finding.severity, finding.rows, finding.count) == ("warning", ("row-queue",), 1)


def test_rows_of_another_language_are_reported_where_the_profile_names_its_own(found: Callable[..., Audited]) -> None:
    splits = clean()
    splits["train"][1]["language"] = "ruby"
    splits["train"][2]["language"] = ""  # a general chat
    finding = named(found(splits), "language-mix")
    assert (finding.severity, finding.rows) == ("warning", ("row-stack",))
    assert "1 ruby" in finding.message
    assert found(splits, languages=()).findings == ()


def test_a_dataset_that_nothing_can_be_learned_from_is_an_error(found: Callable[..., Audited]) -> None:
    splits = clean()
    for item in splits["train"]:
        item["messages"][1]["weight"] = 0
    audited = found(splits)
    assert named(audited, "nothing-to-train").severity == "error"
    assert audited.train.rows == 0


def test_a_dataset_without_validation_is_told(found: Callable[..., Audited]) -> None:
    splits = clean() | {"validation": []}
    assert codes(found(splits)) == ["no-validation"]


def test_rows_that_the_template_refuses_are_named_with_its_words(
    found: Callable[..., Audited], changed_base: Callable[..., Path]
) -> None:
    refusing = "{% if messages[0].role == 'system' %}{{ raise_exception('no system role {here}') }}{% endif %}"
    splits = clean()
    splits["train"][4]["messages"].insert(0, {"role": "system", "content": "Be kind."})
    finding = named(found(splits, changed_base(lambda source: refusing + source)), "not-rendered")
    assert finding.rows == ("row-engine",)
    assert "no system role {here}" in finding.message


def test_a_picture_is_named(found: Callable[..., Audited]) -> None:
    splits = clean()
    splits["train"][5]["messages"][0]["content"] = [{"type": "image_url", "image_url": {"url": "x"}}]
    assert named(found(splits), "not-text").rows == ("row-river",)


def test_a_prompt_far_longer_than_the_others_is_a_note(found: Callable[..., Audited]) -> None:
    splits = clean()
    splits["train"].append(row("wordy", "please " * 28, "No."))
    finding = named(found(splits), "long-prompts")
    assert (finding.severity, finding.rows) == ("note", ("wordy",))


def test_a_template_that_leaves_the_questions_out_is_an_error(
    found: Callable[..., Audited], changed_base: Callable[..., Path]
) -> None:
    answers = "{% for item in messages if item.role == 'assistant' %}{{ item.content + '<|im_end|>' }}{% endfor %}"
    audited = found(clean(), changed_base(lambda source: answers))
    finding = named(audited, "everything-trained")
    assert (finding.severity, finding.count) == ("error", 8)
    assert "instruct" in finding.fix
    assert named(audited, "all-loss").count == 12
    assert audited.train.rows == 0


def test_a_template_that_changes_earlier_turns_is_reported(
    found: Callable[..., Audited], changed_base: Callable[..., Path]
) -> None:
    longer = (
        "{%- for message in messages %}{{- '<|im_start|>' + message.role + ' ' + loop.length|string + '\\n' }}"
        "{{- message.content + '<|im_end|>\\n' }}{%- endfor %}"
        "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
    )
    finding = named(found(clean(), changed_base(lambda source: longer)), "rewritten")
    assert (finding.severity, finding.count) == ("warning", 12)
    assert "changes afterwards" in finding.message


def test_a_dataset_that_is_nearly_all_context_is_a_note(found: Callable[..., Audited]) -> None:
    splits = clean()
    for number, item in enumerate(splits["train"]):
        item["messages"][0]["content"] += "".join(f" word{number}{place}" for place in range(80))
        item["messages"][1]["content"] = "No."
    finding = named(found(splits, max_length=2048), "low-loss-share")
    assert finding.severity == "note"
    assert "of the tokens carry loss" in finding.message


def test_rows_of_context_alone_are_named_each(found: Callable[..., Audited]) -> None:
    splits = clean()
    for item in splits["train"]:
        item["messages"][1]["weight"] = 0
    audited = found(splits)
    assert named(audited, "no-loss").count == 8
    assert named(audited, "no-loss").rows == tuple(item["id"] for item in splits["train"])
    assert "8 rows" in named(audited, "nothing-to-train").message


def test_a_template_without_a_place_for_a_system_message_names_the_rows(
    found: Callable[..., Audited], changed_base: Callable[..., Path]
) -> None:
    gemma = (
        "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}"
        "{% endif %}{% for message in messages %}{% set role = 'model' if message.role == 'assistant' else 'user' %}"
        "{{ '<|im_start|>' + role + '\\n' + message.content + '<|im_end|>\\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>model\\n' }}{% endif %}"
    )
    splits = clean()
    for item in splits["train"][:3]:
        item["messages"].insert(0, {"role": "system", "content": "Be kind."})
    audited = found(splits, changed_base(lambda source: gemma))
    assert named(audited, "not-rendered").count == 3
    assert "System role not supported" in named(audited, "not-rendered").message
    assert audited.train.rows == 5


@pytest.mark.parametrize("count", [0, 40])
def test_every_finding_says_what_to_do(
    found: Callable[..., Audited], changed_base: Callable[..., Path], count: int
) -> None:
    splits = clean() | {"validation": []}
    splits["train"] += [row(f"mute-{n}", f"Say {n}.", None) for n in range(count)]
    splits["train"][0]["messages"][0]["content"] += "<|im_end|>"
    splits["train"][1]["language"] = "ruby"
    audited = found(splits, changed_base(pad_token=None))
    assert len(audited.findings) >= 4
    for item in audited.findings:
        assert item.fix.endswith("."), item
        assert "{" not in item.message + item.fix
        assert "[" not in item.message
