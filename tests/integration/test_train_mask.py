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
    from lora_tui.worker.rows import Row
    from lora_tui.worker.tokenize import IGNORED, tokenize

    (tokens,) = tokenize(tokenizer, [Row(id="r", messages=messages, **row)], "train", 4096)
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


def test_a_row_whose_turns_have_no_fixed_place_is_listed_and_the_rest_goes_on(tiny_base: Path) -> None:
    from lora_tui.jobs.audit import LeftOut
    from lora_tui.worker.loading import load_tokenizer
    from lora_tui.worker.rows import Row
    from lora_tui.worker.tokenize import tokenize

    rewriting = load_tokenizer(str(tiny_base))
    rewriting.chat_template = (
        "{{ messages | length }}:{% for m in messages %}{{ m.role + m.content }}{% endfor %}"
        "{% if add_generation_prompt %}assistant{% endif %}"
    )
    row = Row(id="r7", messages=[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}])
    (left_out,) = tokenize(rewriting, [row], "train", 4096)
    assert isinstance(left_out, LeftOut)
    assert (left_out.id, left_out.reason) == ("r7", "rewritten")


def test_a_row_the_template_refuses_is_listed_with_the_templates_words(tiny_base: Path) -> None:
    from lora_tui.jobs.audit import LeftOut
    from lora_tui.worker.loading import load_tokenizer
    from lora_tui.worker.rows import Row
    from lora_tui.worker.tokenize import tokenize

    strict = load_tokenizer(str(tiny_base))
    strict.chat_template = (
        "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
        + strict.chat_template
    )
    said = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]
    rows = [Row(id="r1", messages=[{"role": "system", "content": "Be brief."}, *said]), Row(id="r2", messages=said)]
    refused, kept = tokenize(strict, rows, "train", 4096)
    assert isinstance(refused, LeftOut)
    assert (refused.id, refused.reason, refused.about) == ("r1", "not_rendered", "System role not supported")
    assert kept.id == "r2"


def test_a_template_that_leaves_out_tool_calls_does_not_train_on_empty_turns(tiny_base: Path) -> None:
    from lora_tui.worker.loading import load_tokenizer
    from lora_tui.worker.rows import Row
    from lora_tui.worker.tokenize import tokenize

    mute = load_tokenizer(str(tiny_base))
    mute.chat_template = (
        "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    )
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "", "tool_calls": [call("read", {"filePath": "a.rs"})]},
    ]
    (left_out,) = tokenize(mute, [Row(id="r", messages=messages)], "train", 4096)
    assert (left_out.reason, left_out.about) == ("not_rendered", "the template does not write tool calls")


def test_a_template_without_turns_trains_on_nothing(tiny_base: Path) -> None:
    from lora_tui.jobs.audit import LeftOut
    from lora_tui.worker.loading import load_tokenizer
    from lora_tui.worker.rows import Row
    from lora_tui.worker.tokenize import check_trainable, tokenize

    bare = load_tokenizer(str(tiny_base))
    bare.chat_template = "{% for m in messages if m.role == 'assistant' %}{{ m.content }}{% endfor %}"
    row = Row(id="r", messages=[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}])
    (left_out,) = tokenize(bare, [row], "train", 4096)
    assert isinstance(left_out, LeftOut)
    assert left_out.reason == "all_loss"
    with pytest.raises(BadInput, match="the questions too"):
        check_trainable(0, [left_out], "rust@1", 4096)


def test_rows_that_do_not_fit_are_listed_and_the_rest_is_whole(tokenizer: Any) -> None:
    from lora_tui.jobs.audit import LeftOut
    from lora_tui.worker.rows import Row
    from lora_tui.worker.tokenize import tokenize

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
    made = list(tokenize(tokenizer, [row("short", 3), row("long", 300), picture], "train", 100))
    kept = [item for item in made if not isinstance(item, LeftOut)]
    left_out = [item for item in made if isinstance(item, LeftOut)]
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

    from lora_tui.worker.rows import Row
    from lora_tui.worker.template import for_template
    from lora_tui.worker.tokenize import tokenize

    rows = conversations(60)
    ours = list(tokenize(tokenizer, [Row(**row) for row in rows], "train", 100_000))
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


def test_what_is_counted_is_what_the_trainer_gets(tokenizer: Any, tiny_base: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    from lora_tui.jobs.audit import LeftOut
    from lora_tui.worker.arguments import sft_config
    from lora_tui.worker.collate import Padded
    from lora_tui.worker.rows import Row
    from lora_tui.worker.token_table import write_rows
    from lora_tui.worker.tokenize import IGNORED, tokenize
    from lora_tui.worker.trainer import AssistantTrainer
    from lora_tui.workspace.profiles import Model, Profile, Training

    rows = [Row(**row) for row in conversations(80)]
    made = [item for item in tokenize(tokenizer, rows, "train", 160) if not isinstance(item, LeftOut)]
    assert any(item.parts > 1 for item in made)
    profile = Profile(name="p", model=Model(base="tiny"), training=Training(per_device_train_batch_size=4))
    trainer = AssistantTrainer(
        model=AutoModelForCausalLM.from_pretrained(tiny_base),
        args=sft_config(profile, tmp_path, "cpu", validation=False),
        train_dataset=write_rows(tmp_path / "train.arrow", made),
        processing_class=tokenizer,
        data_collator=Padded(tokenizer.pad_token_id),
    )
    batches = list(trainer.get_train_dataloader())
    assert sum(int(batch["attention_mask"].sum()) for batch in batches) == sum(len(item.input_ids) for item in made)
    assert sum(int((batch["labels"] != IGNORED).sum()) for batch in batches) == sum(item.loss_tokens for item in made)
    given = sorted(
        [int(token) for token, real in zip(ids, mask, strict=True) if real]
        for batch in batches
        for ids, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True)
    )
    assert given == sorted(item.input_ids for item in made)


def test_padding_with_the_end_token_does_not_hide_the_ends_of_turns(tokenizer: Any) -> None:
    from lora_tui.worker.collate import Padded

    end = tokenizer.eos_token_id
    batch = Padded(end)(
        [{"input_ids": [5, end], "labels": [5, end]}, {"input_ids": [5, 6, end], "labels": [-100, 6, end]}]
    )
    assert batch["labels"].tolist() == [[5, end, -100], [-100, 6, end]]
    assert batch["attention_mask"].tolist() == [[1, 1, 0], [1, 1, 1]]


def test_a_base_says_itself_whether_it_had_a_pad_token(tiny_base: Path, tmp_path: Path) -> None:
    import shutil

    from lora_tui.worker.loading import facts, load_tokenizer

    assert facts(load_tokenizer(str(tiny_base)), str(tiny_base)).had_pad
    base = shutil.copytree(tiny_base, tmp_path / "base")
    settings = json.loads((base / "tokenizer_config.json").read_text())
    settings["pad_token"] = None  # left out, the class of the tokenizer has one
    (base / "tokenizer_config.json").write_text(json.dumps(settings))
    (base / "generation_config.json").write_text(json.dumps({"eos_token_id": [1, 2]}))
    tokenizer = load_tokenizer(str(base))
    found = facts(tokenizer, str(base))
    assert (found.had_pad, found.pad_is_eos) == (False, True)
    assert found.stops == {1, 2}
