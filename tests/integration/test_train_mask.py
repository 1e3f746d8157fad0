"""What carries loss: the assistant's words and the end of its turn, and nothing else."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from lora_tui.workspace.errors import BadInput

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def tokenizer(tiny_base: Path) -> Any:
    """The tiny base's tokenizer."""
    from lora_tui.worker.loading import load_tokenizer

    return load_tokenizer(str(tiny_base))


def trained_on(tokenizer: Any, messages: list[dict[str, Any]], **row: Any) -> list[str]:
    """The stretches of text that carry loss."""
    from lora_tui.worker.render import IGNORED, tokenize
    from lora_tui.worker.rows import Row

    (tokens,), _ = tokenize(tokenizer, [Row(id="r", messages=messages, **row)], "train", 4096)
    stretches: list[list[int]] = []
    last = False
    for label in tokens.labels:
        if label != IGNORED:
            if not last:
                stretches.append([])
            stretches[-1].append(label)
        last = label != IGNORED
    return [tokenizer.decode(stretch) for stretch in stretches]


def call(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """An OpenAI tool call."""
    return {"id": "c1", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}


def test_the_assistants_turns_and_their_ends_carry_loss(tokenizer: Any) -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi <there>"},
        {"role": "assistant", "content": "Hello.", "tool_calls": [call("read", {"filePath": "a.rs"})]},
        {"role": "tool", "tool_call_id": "c1", "content": "fn main() {}"},
        {"role": "assistant", "content": [{"type": "text", "text": "Done:"}, {"type": "text", "text": "ok"}]},
    ]
    assert trained_on(tokenizer, messages) == [
        'Hello.\n<tool_call>\n{"name": "read", "arguments": {"filePath": "a.rs"}}\n</tool_call><|im_end|>\n',
        "Done:\nok<|im_end|>\n",
    ]


def test_a_message_of_weight_zero_is_read_and_not_learned(tokenizer: Any) -> None:
    messages = [
        {"role": "user", "content": "One"},
        {"role": "assistant", "content": "wrong", "weight": 0},
        {"role": "user", "content": "Two"},
        {"role": "assistant", "content": "right", "weight": 1},
    ]
    assert trained_on(tokenizer, messages) == ["right<|im_end|>\n"]


def test_a_template_without_generation_markers_gives_the_same_mask(tokenizer: Any, tiny_base: Path) -> None:
    from lora_tui.worker.loading import load_tokenizer

    plain = load_tokenizer(str(tiny_base))
    plain.chat_template = plain.chat_template.replace("{% generation %}", "").replace("{% endgeneration %}", "")
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]
    assert trained_on(plain, messages) == trained_on(tokenizer, messages) == ["Hello.<|im_end|>\n"]


def test_a_template_that_rewrites_earlier_turns_is_refused_with_the_row(tiny_base: Path) -> None:
    from lora_tui.worker.loading import load_tokenizer
    from lora_tui.worker.render import tokenize
    from lora_tui.worker.rows import Row

    rewriting = load_tokenizer(str(tiny_base))
    rewriting.chat_template = (
        "{{ messages | length }}:{% for m in messages %}{{ m.role + m.content }}{% endfor %}"
        "{% if add_generation_prompt %}assistant{% endif %}"
    )
    row = Row(id="r7", messages=[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}])
    with pytest.raises(BadInput, match="changes earlier turns") as caught:
        tokenize(rewriting, [row], "train", 4096)
    assert caught.value.where == "row r7"


def test_rows_that_do_not_fit_are_listed_and_the_rest_is_whole(tokenizer: Any) -> None:
    from lora_tui.worker.render import tokenize
    from lora_tui.worker.rows import Row

    def row(identity: str, words: int) -> Row:
        return Row(
            id=identity,
            messages=[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "snow " * words}],
        )

    picture = Row(
        id="picture",
        messages=[
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]},
            {"role": "assistant", "content": "Nice."},
        ],
    )
    kept, left_out = tokenize(tokenizer, [row("short", 3), row("long", 300), picture], "train", 100)
    assert [tokens.id for tokens in kept] == ["short"]
    assert {(item.id, item.reason) for item in left_out} == {("long", "too_long"), ("picture", "not_text")}
    assert next(item.tokens for item in left_out if item.id == "long") > 100


def conversations(count: int) -> list[dict[str, Any]]:
    """Conversations of every shape the engine meets: several turns, tools, odd characters."""
    pick = random.Random(5)
    words = [
        "snow",
        "is",
        "white",
        "fn",
        "main()",
        "grüße",
        "日本",
        "🦀",
        "  two  spaces",
        "a\n\nb",
        "<b>",
        "x=1;",
        "```rust",
    ]

    def text() -> str:
        return ("The " + " ".join(pick.choices(words, k=pick.randint(1, 25)))).strip()

    made = []
    for index in range(count):
        messages: list[dict[str, Any]] = [{"role": "system", "content": text()}] if index % 5 == 0 else []
        for _ in range(pick.randint(1, 4)):
            messages.append({"role": "user", "content": text()})
            if index % 2:
                messages.append(
                    {
                        "role": "assistant",
                        "content": text() if index % 4 == 1 else "",
                        "tool_calls": [call("read", {"filePath": text()})],
                    }
                )
                messages.append({"role": "tool", "content": text()})
            messages.append({"role": "assistant", "content": text()})
        made.append({"id": f"c{index}", "messages": messages})
    return made


def test_the_mask_equals_trls_own_for_a_template_with_markers(tokenizer: Any, tiny_base: Path, tmp_path: Path) -> None:
    from datasets import Dataset
    from transformers import AutoModelForCausalLM
    from trl import SFTConfig, SFTTrainer

    from lora_tui.worker.render import for_template, tokenize
    from lora_tui.worker.rows import Row

    rows = conversations(60)
    ours, left_out = tokenize(tokenizer, [Row(**row) for row in rows], "train", 100_000)
    assert not left_out
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(tiny_base),
        args=SFTConfig(
            output_dir=str(tmp_path),
            assistant_only_loss=True,
            max_length=None,
            use_cpu=True,
            bf16=False,
            report_to="none",
        ),
        train_dataset=Dataset.from_list(
            [{"messages": [for_template(message) for message in row["messages"]]} for row in rows]
        ),
        processing_class=tokenizer,
    )
    theirs = trainer.train_dataset
    assert [row.input_ids for row in ours] == [list(ids) for ids in theirs["input_ids"]]
    assert [row.labels for row in ours] == [list(labels) for labels in theirs["labels"]]
