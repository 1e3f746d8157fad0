"""What is exported is loaded by `datasets` and prepared by TRL's trainer, with nothing done to it in between."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lora_tui.dataset import exporting, importing
from lora_tui.dataset.formats import line
from lora_tui.dataset.formats.formats import named
from lora_tui.dataset.model import Dataset, Row, RowMessage
from lora_tui.sources.model import Function, ToolCall
from lora_tui.workspace.layout import Workspace

pytestmark = pytest.mark.engine

TOOLS: list[dict[str, Any]] = [
    {"type": "function", "function": {"name": "read", "parameters": {"properties": {"a": {"type": "string"}}}}},
    {"type": "function", "function": {"name": "edit", "parameters": {"enum": [1, "two"], "default": None}}},
]


def row(number: int) -> Row:
    messages = [RowMessage("user", f"Hello {number}!"), RowMessage("assistant", f"Hello. {number}")]
    if number % 2:
        calls = [ToolCall(id="a", function=Function("read", json.dumps({"path": number if number % 3 else "x"})))]
        messages[1:1] = [
            RowMessage("assistant", "", tool_calls=calls, weight=0),
            RowMessage("tool", "// empty", tool_call_id="a"),
        ]
    return Row(
        id=line.row_id(messages), messages=messages, source="opencode", session=f"s{number}", tools=TOOLS[: number % 3]
    )


@pytest.fixture
def dataset(workspace: Workspace, tmp_path: Path) -> Dataset:
    file = tmp_path / "rows.jsonl"
    file.write_bytes(b"".join(msgspec.json.encode(row(number)) + b"\n" for number in range(12)))
    return importing.import_(workspace, file).dataset


def prepared(tiny_base: Path, files: Path, tmp_path: Path) -> Any:
    """TRL's trainer with the rows as they are before its first step."""
    import datasets
    from trl import SFTConfig, SFTTrainer

    kind = "parquet" if files.suffix == ".parquet" else "json"
    loaded = datasets.load_dataset(kind, data_files=str(files), split="train", cache_dir=str(tmp_path / "cache"))
    settings = SFTConfig(
        output_dir=str(tmp_path / "trained"), report_to=[], bf16=False, max_length=2048, gradient_checkpointing=False
    )
    return SFTTrainer(model=str(tiny_base), args=settings, train_dataset=loaded)


@pytest.mark.parametrize("name", ["messages", "parquet", "prompt-completion", "sharegpt", "chatml", "alpaca"])
def test_datasets_loads_every_row_of_an_export(name: str, dataset: Dataset, tmp_path: Path) -> None:
    import datasets

    made = exporting.export(dataset, name, tmp_path / "out")
    kind = "parquet" if name == "parquet" else "json"
    loaded = datasets.load_dataset(kind, data_files=made.files[0].path, split="train", cache_dir=str(tmp_path / "c"))
    assert len(loaded) == 12


@pytest.mark.parametrize("name", ["messages", "parquet", "prompt-completion"])
def test_trl_prepares_the_very_text_that_the_template_makes_of_a_row(
    name: str, dataset: Dataset, tiny_base: Path, tmp_path: Path
) -> None:
    made = exporting.export(dataset, name, tmp_path / "out")
    trainer = prepared(tiny_base, Path(made.files[0].path), tmp_path)
    tokenizer = trainer.processing_class
    for given, got in zip(map(row, range(12)), trainer.train_dataset, strict=True):
        messages = [{"role": m.role, "content": m.content, "tool_calls": _calls(m)} for m in given.messages]
        text = tokenizer.apply_chat_template(messages, tools=given.tools or None, tokenize=False)
        assert tokenizer.decode(got["input_ids"]) == text
        if name == "prompt-completion":
            learned = [token for token, label in zip(got["input_ids"], got["labels"], strict=True) if label != -100]
            assert tokenizer.decode(learned) == f"{given.messages[-1].content}<|im_end|>\n"


def _calls(message: RowMessage) -> Any:
    return msgspec.to_builtins(message.tool_calls)


def test_chatml_text_is_what_qwens_own_template_writes(tiny_base: Path) -> None:
    import trl
    from transformers import AutoTokenizer

    template = (Path(trl.__file__).parent / "chat_templates" / "qwen2_5.jinja").read_text()
    calls = [ToolCall(id=name, function=Function(name, '{"path": "é", "deep": {"n": [1, null]}}')) for name in "ab"]
    messages = [
        RowMessage("system", "You write Rust."),
        RowMessage("user", "Fix it."),
        RowMessage("assistant", "Looking.", tool_calls=calls),
        RowMessage("tool", "one", tool_call_id="a"),
        RowMessage("tool", "two", tool_call_id="b"),
        RowMessage("assistant", "", tool_calls=calls[:1]),
        RowMessage("tool", "three", tool_call_id="a"),
        RowMessage("assistant", "Done."),
    ]
    given = [{"role": m.role, "content": m.content, "tool_calls": _calls(m)} for m in messages]
    for message in given:
        for call in message["tool_calls"]:
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])
    tokenizer = AutoTokenizer.from_pretrained(str(tiny_base))
    text = tokenizer.apply_chat_template(given, tools=TOOLS, chat_template=template, tokenize=False)
    written = line.write(Row(id="r", messages=messages, tools=TOOLS), named("chatml"))
    assert json.loads(written)["text"] == text
