"""Our labels are TRL's, token by token, for the templates it knows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mask_families import TOOLS, Messages, Talker, tokenizer_for, uses_tools

pytestmark = pytest.mark.engine

CONVERSATIONS = 220


@dataclass(frozen=True)
class Family:
    """A template of TRL, and what conversations it takes. agree: those that both of its templates write alike."""

    name: str
    tools: bool = False
    parallel: bool = True
    system: bool = True
    reasoning: float = 0.0
    agree: str = "all"  # "last request": with reasoning, and one request; "one request": without


FAMILIES = [
    Family("qwen2_5", tools=True),
    Family("qwen3_instruct_2507", tools=True),
    Family("qwen3", tools=True, reasoning=0.5, agree="last request"),
    Family("qwen3_5_nothink", tools=True, agree="one request"),
    Family("qwen3_5_think", tools=True, reasoning=0.5, agree="last request"),
    Family("qwen3_6", tools=True, reasoning=0.5, agree="last request"),
    Family("qwen3_8", tools=True, reasoning=0.5),
    Family("llama3"),
    Family("gemma", system=False),
    Family("gemma3"),
    Family("phi3"),
    Family("cohere"),
    Family("cohere2"),
    Family("lfm2"),
    Family("muse_glimmer", tools=True),
]
EACH = pytest.mark.parametrize("family", FAMILIES, ids=[family.name for family in FAMILIES])


def sources(family: Family) -> tuple[str, str]:
    """The family's template and TRL's training variant of it."""
    from trl import chat_template_utils

    name = family.name
    return (
        getattr(chat_template_utils, f"{name}_chat_template"),
        getattr(chat_template_utils, f"{name}_training_chat_template"),
    )


def conversations(family: Family, seed: int, *, agree: bool, weights: bool = False) -> list[Messages]:
    """Random ones; with `agree`, of the kind that both templates write alike."""
    talker = Talker(seed, marks=("<|im_end|>", "<|eot_id|>", "<end_of_turn>"))
    alike = agree and family.agree != "all"
    return [
        talker.conversation(
            turns=1 if alike else 4,
            system=family.system,
            tools=family.tools,
            parallel=family.parallel,
            reasoning=1.0 if alike and family.reasoning else family.reasoning,
            weights=weights,
        )
        for _ in range(CONVERSATIONS)
    ]


def ours(tokenizer: Any, rows: list[Messages]) -> list[Any]:
    """What we train on."""
    from lora_tui.worker.rows import Row
    from lora_tui.worker.tokenize import tokenize

    made = [
        Row(id=str(number), messages=messages, tools=TOOLS if uses_tools(messages) else None)
        for number, messages in enumerate(rows)
    ]
    return list(tokenize(tokenizer, made, "train", 1_000_000))


def trl(tokenizer: Any, messages: Messages, template: str) -> tuple[list[int], list[int]]:
    """The ids and labels that SFTTrainer's preparation makes of a conversation."""
    from lora_tui.worker.template import for_template

    out = tokenizer.apply_chat_template(
        [for_template(message) for message in messages],
        tools=TOOLS if uses_tools(messages) else None,
        chat_template=template,
        return_dict=True,
        return_assistant_tokens_mask=True,
    )
    marked = zip(out["input_ids"], out["assistant_masks"], strict=True)
    return out["input_ids"], [token if mask else -100 for token, mask in marked]


def without_turns(labels: list[int], weights: list[int]) -> list[int]:
    """TRL knows no weights: its labels, with those of the turns of weight 0 taken out."""
    result, turn = list(labels), -1
    for place, label in enumerate(labels):
        if label != -100 and (place == 0 or labels[place - 1] == -100):
            turn += 1
        if label != -100 and weights[turn] == 0:
            result[place] = -100
    assert turn == len(weights) - 1
    return result


@EACH
def test_the_mask_of_the_real_template_is_trls(family: Family) -> None:
    original, training = sources(family)
    tokenizer = tokenizer_for(original)
    rows = conversations(family, 11, agree=True)
    for messages, tokens in zip(rows, ours(tokenizer, rows), strict=True):
        assert (tokens.input_ids, tokens.labels) == trl(tokenizer, messages, training)


@EACH
def test_the_mask_of_trls_own_template_is_trls(family: Family) -> None:
    _, training = sources(family)
    tokenizer = tokenizer_for(training)
    rows = conversations(family, 12, agree=False)
    for messages, tokens in zip(rows, ours(tokenizer, rows), strict=True):
        assert (tokens.input_ids, tokens.labels) == trl(tokenizer, messages, training)


@EACH
def test_turns_of_weight_zero_are_taken_out_of_trls_mask(family: Family) -> None:
    from lora_tui.jobs.audit import LeftOut

    _, training = sources(family)
    tokenizer = tokenizer_for(training)
    rows = conversations(family, 13, agree=False, weights=True)
    compared = 0
    for messages, tokens in zip(rows, ours(tokenizer, rows), strict=True):
        weights = [message["weight"] for message in messages if message["role"] == "assistant"]
        if not any(weights):
            assert isinstance(tokens, LeftOut)
            assert tokens.reason == "no_loss"
            continue
        ids, labels = trl(tokenizer, messages, training)
        assert (tokens.input_ids, tokens.labels) == (ids, without_turns(labels, weights))
        compared += 1
    assert compared > CONVERSATIONS / 2


@pytest.mark.parametrize("name", ["qwen2_5", "qwen3_instruct_2507", "llama3", "gemma3"])
def test_the_trainer_of_trl_is_given_the_same_labels(name: str, tmp_path: Path) -> None:
    from datasets import Dataset
    from transformers import Qwen2Config, Qwen2ForCausalLM
    from trl import SFTConfig, SFTTrainer

    from lora_tui.worker.template import for_template

    family = next(item for item in FAMILIES if item.name == name)
    tokenizer = tokenizer_for(sources(family)[0])
    rows = [messages for messages in conversations(family, 14, agree=True) if not uses_tools(messages)][:60]
    config = Qwen2Config(
        vocab_size=len(tokenizer), hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1
    )
    trainer = SFTTrainer(
        model=Qwen2ForCausalLM(config),
        args=SFTConfig(output_dir=str(tmp_path), assistant_only_loss=True, max_length=None, use_cpu=True, bf16=False),
        train_dataset=Dataset.from_list(
            [{"messages": json.loads(json.dumps([for_template(item) for item in messages]))} for messages in rows]
        ),
        processing_class=tokenizer,
    )
    made = ours(tokenizer, rows)
    assert [row.input_ids for row in made] == [list(ids) for ids in trainer.train_dataset["input_ids"]]
    assert [row.labels for row in made] == [list(labels) for labels in trainer.train_dataset["labels"]]
