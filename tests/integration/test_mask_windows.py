"""Long rows in parts: nothing is cut inside a turn, nothing is learned twice, nothing is lost without being listed."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mask_families import TOOLS, Messages, Talker, tokenizer_for, uses_tools

pytestmark = pytest.mark.engine

TEMPLATES = Path(__file__).parent.parent / "templates"
OWN = ("chatml", "qwen2", "qwen3_coder", "mistral")
THEIRS = (
    "qwen2_5",
    "qwen3",
    "qwen3_5_think",
    "qwen3_6",
    "qwen3_instruct_2507",
    "llama3",
    "llama3_1",
    "gemma3",
    "phi3",
    "gptoss",
    "phi3_5",
    "lfm2_v2",
    "lfm2_2_5_v2",
    "qwen3_vl",
    "idefics3",
    "llava_next",
    "deepseek_r1_distill",
    "deepseekv3",
    "glm4moe",
    "gemma4",
    "gemma4_v2",
    "gemma4_v5",
    "diffusion_gemma",
    "nemotron_3_nano",
    "nemotron_3_super",
    "nemotron_3_ultra",
    "nemotron_3_5_lightning",
)
THINKING = ("qwen3", "gptoss", "deepseek", "glm", "gemma4", "diffusion", "nemotron", "lfm2_2_5")
PARTED = (
    *OWN,
    "qwen2_5",
    "qwen3",
    "qwen3_6",
    "llama3_1",
    "idefics3",
    "llava_next",
    "deepseek_r1_distill",
    "deepseekv3",
    "glm4moe",
    "gptoss",
    "gemma4",
    "diffusion_gemma",
    "nemotron_3_nano",
)
TOOLED = {
    "lfm2_v2",
    "lfm2_2_5_v2",
    "qwen3_vl",
    "deepseekv3",
    "glm4moe",
    "gemma4",
    "gemma4_v2",
    "gemma4_v5",
    "diffusion_gemma",
    "nemotron_3_nano",
    "nemotron_3_super",
    "nemotron_3_ultra",
    "nemotron_3_5_lightning",
    "qwen3_coder",
    "mistral",
    "qwen2_5",
    "qwen3",
    "qwen3_5_think",
    "qwen3_6",
    "qwen3_instruct_2507",
    "llama3_1",
    "gptoss",
}
MARKS = ("<|im_end|>", "<|im_start|>assistant\n", "<|eot_id|>", "<end_of_turn>", "</s>", "<think>\n", "</think>")

COMMON = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@cache
def template(name: str) -> Any:
    """A family's template with a tokenizer for it."""
    from trl import chat_template_utils

    from lora_tui.worker.template import Template

    if name in OWN:
        return Template(tokenizer_for((TEMPLATES / f"{name}.jinja").read_text(), eos="</s>"))
    return Template(tokenizer_for(getattr(chat_template_utils, f"{name}_chat_template")))


def row_of(name: str, seed: int, *, marks: bool = True, weights: bool = True, turns: int = 4) -> Any:
    """A random row that the family's template takes."""
    from lora_tui.worker.rows import Row

    messages = Talker(seed, marks=MARKS if marks else ()).conversation(
        turns=turns,
        tools=name in TOOLED,
        parallel=name not in ("gptoss", "llama3_1"),
        reasoning=0.5 if name.startswith(THINKING) else 0.0,
        weights=weights,
    )
    return Row(id=str(seed), messages=messages, tools=TOOLS if uses_tools(messages) else None)


@pytest.mark.parametrize("name", [*OWN, *THEIRS])
@given(seed=st.integers(0, 10**9), marks=st.booleans())
@COMMON
def test_places_by_counting_are_the_places_by_rendering(name: str, seed: int, marks: bool) -> None:
    from lora_tui.worker.mask import by_position, by_prefixes, conversation, trained

    row = row_of(name, seed, marks=marks)
    talk = conversation(template(name), row)
    turns = trained(row)
    for count in sorted({len(row.messages), *(turn + 1 for turn in turns)}):
        inside = [turn for turn in turns if turn < count]
        quick = by_position(talk, count, inside)
        if quick is not None:
            assert quick == by_prefixes(talk, count, inside)


@pytest.mark.parametrize(
    "name", ["chatml", "qwen2", "qwen3_coder", "qwen2_5", "qwen3_instruct_2507", "llama3", "gemma3"]
)
def test_most_rows_take_one_rendering(name: str) -> None:
    from lora_tui.worker.mask import conversation, spans
    from lora_tui.worker.template import Template

    found = template(name)
    rendered = 0

    class Counting(Template):
        def render(self, *arguments: Any, **options: Any) -> str:
            nonlocal rendered
            rendered += 1
            return super().render(*arguments, **options)

    counting = Counting(found.tokenizer)
    rows = [row_of(name, seed, marks=False, weights=False) for seed in range(40)]
    assert all(conversation(counting, row) for row in rows)
    rendered = 0
    for row in rows:
        spans(counting, row)
    assert rendered == len(rows)


@pytest.mark.parametrize("name", [*PARTED, "llama3"])
@given(seed=st.integers(0, 10**9), limit=st.integers(20, 900))
@COMMON
def test_every_turn_is_learned_once_or_listed(name: str, seed: int, limit: int) -> None:
    from lora_tui.jobs.audit import LeftOut
    from lora_tui.worker.mask import trained
    from lora_tui.worker.windows import windows

    row = row_of(name, seed)
    turns = trained(row)
    made = windows(template(name), row, limit, "train")
    kept = [item for item in made if not isinstance(item, LeftOut)]
    left_out = [item for item in made if isinstance(item, LeftOut)]
    learned = [turn for item in kept for turn in item.turns]
    assert len(learned) == len(set(learned)), "a turn is learned twice"
    assert set(learned) <= set(turns)
    if set(learned) != set(turns):
        assert left_out, "a turn is lost and not listed"
    if not kept:
        assert len(left_out) == 1
        assert left_out[0].part == 0
    for item in kept:
        assert len(item.input_ids) <= limit
        assert len(item.turns) == len(item.spans)
        for (start, end), turn in zip(item.spans, item.turns, strict=True):
            if name in ("mistral", "llama3_1") and "tool_calls" in row.messages[turn]:
                continue  # these families write no words beside calls
            said = row.messages[turn]["content"]
            if name.startswith("deepseek"):
                said = said.rpartition("</think>")[2]  # it takes what stands before for a thought, and drops it
            assert "".join(said.split()) in "".join(item.text[start:end].split())
        results = {row.messages[index].get("tool_call_id") for index in item.messages} - {None}
        calls = {call["id"] for index in item.messages for call in row.messages[index].get("tool_calls", ())}
        assert results <= calls, "a result without its call"
    if len(kept) + len(left_out) > 1:
        assert {item.parts for item in kept} <= {len(kept) + len(left_out)}
        assert sorted([item.part for item in kept] + [item.part for item in left_out]) == list(range(1, len(made) + 1))


@pytest.mark.parametrize("name", PARTED)
@given(seed=st.integers(0, 10**9), limit=st.integers(60, 900))
@COMMON
def test_what_stands_before_a_learned_turn_is_what_the_model_will_be_given(name: str, seed: int, limit: int) -> None:
    from lora_tui.jobs.audit import LeftOut
    from lora_tui.worker.mask import conversation
    from lora_tui.worker.windows import windows

    row = row_of(name, seed)
    found = template(name)
    messages = conversation(found, row).messages
    for item in windows(found, row, limit):
        if isinstance(item, LeftOut):
            continue
        for (start, _), turn in zip(item.spans, item.turns, strict=True):
            before = [messages[index] for index in item.messages if index < turn]
            given = found.render(before, row.tools, prompt=True)
            assert given.startswith(item.text[:start]) or item.text[:start] == given + found.header
            if not item.text.startswith(given):  # it opened a think block, and the turn has none
                assert found.opened
                assert item.text.startswith(given.removesuffix(found.opened))


@pytest.mark.parametrize("name", ["gptoss", "gemma4", "gemma4_v2", "gemma4_v5", "diffusion_gemma", "nemotron_3_nano"])
def test_what_is_said_beside_calls_is_learned_where_the_template_moves_or_drops_it_later(name: str) -> None:
    from lora_tui.jobs.audit import LeftOut
    from lora_tui.worker.mask import trained
    from lora_tui.worker.windows import windows

    rows = [row_of(name, seed, marks=False, turns=2) for seed in range(120)]
    worked = [row for row in rows if any(item.get("tool_calls") and item["content"] for item in row.messages)]
    if name == "gptoss":  # it refuses thoughts and words in one message with a call
        worked = [row for row in worked if not any("reasoning_content" in item for item in row.messages)]
    assert len(worked) > 20
    for row in worked:
        made = [item for item in windows(template(name), row, 100_000) if not isinstance(item, LeftOut)]
        assert sorted(turn for item in made for turn in item.turns) == trained(row)
        for item in made:
            learned = "".join(item.text[start:end] for start, end in item.spans)
            results = [message["content"].strip() for message in row.messages if message["role"] == "tool"]
            assert not any(len(result) > 40 and result in learned for result in results)
            said = [row.messages[turn]["content"] for turn in item.turns]
            assert all("".join(words.split()) in "".join(learned.split()) for words in said)


def long_row() -> Any:
    """Two requests; the second has two edits with what follows them."""
    from lora_tui.worker.rows import Row

    talker = Talker(3)

    def step(name: str, words: int) -> Messages:
        call = talker.call(name)
        result = {"role": "tool", "tool_call_id": call["id"], "content": "snow " * words}
        return [{"role": "assistant", "content": name, "tool_calls": [call]}, result]

    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "First"},
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": "Second"},
        *step("read", 120),
        *step("edit", 5),
        *step("read", 100),
        *step("write_file", 5),
        {"role": "assistant", "content": "Done."},
    ]
    return Row(id="long", messages=messages, tools=TOOLS[:1])


def parts(limit: int) -> list[Any]:
    """How the long row is split."""
    from lora_tui.worker.windows import windows

    return windows(template("qwen2_5"), long_row(), limit, "train")


def test_a_row_that_fits_is_one_part() -> None:
    (part,) = parts(10_000)
    assert (part.part, part.parts, part.at, part.turns) == (1, 1, "", (2, 4, 6, 8, 10, 12))


def test_a_row_too_long_is_split_at_a_user_turn_with_the_system_message_before_each() -> None:
    whole = len(parts(10_000)[0].input_ids)
    first, second = parts(whole - 1)
    assert first.messages == (0, 1, 2)
    assert second.messages == (0, *range(3, 13))
    assert (first.turns, second.turns) == ((2,), (4, 6, 8, 10, 12))
    assert (first.at, second.at, second.parts, second.whole) == ("user turn", "user turn", 2, whole)


def test_a_request_too_long_is_split_after_an_edit_with_the_request_before_each() -> None:
    whole = len(parts(10_000)[0].input_ids)
    alone = len(parts(whole - 1)[1].input_ids)
    first, second, third = parts(alone - 1)
    assert first.messages == (0, 1, 2)
    assert second.messages == (0, 3, *range(4, 12))
    assert third.messages == (0, 3, 12)
    assert {item.at for item in (first, second, third)} == {"edit"}
    _, second, third = parts(len(second.input_ids) - 1)
    assert second.messages == (0, 3, 4, 5, 6, 7)
    assert third.messages == (0, 3, 8, 9, 10, 11, 12)


def test_a_part_that_fits_nowhere_is_listed_with_its_number() -> None:
    from lora_tui.jobs.audit import LeftOut

    whole = parts(10_000)[0]
    made = parts(len(whole.input_ids) // 3)
    listed = [item for item in made if isinstance(item, LeftOut)]
    assert listed
    assert {item.reason for item in listed} == {"too_long"}
    assert all(item.part and item.tokens > len(whole.input_ids) // 3 for item in listed)


def test_earlier_requests_are_context_as_far_as_they_fit() -> None:
    from lora_tui.worker.rows import Row
    from lora_tui.worker.windows import windows

    messages: Messages = []
    for number in range(6):
        messages += [
            {"role": "user", "content": f"ask {number} " + "snow " * 20},
            {"role": "assistant", "content": f"answer {number}"},
        ]
    row = Row(id="r", messages=messages)
    found = template("chatml")
    (one,) = windows(found, Row(id="r", messages=messages[:6]), 10_000)
    made = windows(found, row, len(one.input_ids))
    assert [item.turns for item in made] == [(1, 3, 5), (7,), (9,), (11,)]
    assert [item.messages for item in made] == [tuple(range(start, start + 6)) for start in (0, 2, 4, 6)]


@pytest.mark.parametrize(
    ("name", "edits"),
    [
        *(("edit", True), ("mcp__files__write_file", True), ("functions.apply_patch", True), ("MultiEdit", True)),
        *(("read", False), ("bash", False), ("todowrite", False)),
    ],
)
def test_edits_are_known_by_the_names_agents_give_them(name: str, edits: bool) -> None:
    from lora_tui.worker.windows import is_edit

    assert is_edit(name) is edits


def test_what_is_split_or_left_out_is_told_with_the_rows() -> None:
    from lora_tui.jobs.audit import Cut, LeftOut
    from lora_tui.worker.untrained import cut_warnings, warnings_of

    left_out = [
        LeftOut(id="a", split="train", reason="too_long", tokens=900, part=2),
        LeftOut(id="b", split="train", reason="not_rendered", tokens=0, about="no system role"),
    ]
    long, refused = warnings_of(left_out, 512)
    assert long.message == "1 rows or parts of rows left out, longer than max_length 512: a part 2 (900 tokens)"
    assert "refuses (no system role): b" in refused.message
    (told,) = cut_warnings([Cut(id="c", split="train", tokens=2000, parts=3, at="user turn")], 512)
    assert "c (3 parts, at user turns)" in told.message


@pytest.mark.parametrize("name", ["qwen2_5", "qwen3_coder", "llama3_1"])
def test_a_conversation_of_hundreds_of_turns_is_split_at_the_price_of_its_length(name: str) -> None:
    from lora_tui.worker.rows import Row
    from lora_tui.worker.template import Template
    from lora_tui.worker.windows import windows

    written = 0

    class Counting(Template):
        def render(self, *arguments: Any, **options: Any) -> str:
            nonlocal written
            text = super().render(*arguments, **options)
            written += len(text)
            return text

    counting = Counting(template(name).tokenizer)

    def times(requests: int) -> float:
        nonlocal written
        messages = [
            message
            for number in range(requests)
            for message in (
                {"role": "user", "content": f"Do number {number}. {'snow is white ' * 20}"},
                {"role": "assistant", "content": "white " * 40},
            )
        ]
        written = 0
        made = windows(counting, Row(id="many", messages=messages), 1000)
        assert all(item.parts == len(made) for item in made)
        return written / len(counting.render(messages))

    assert times(400) < 1.5 * times(100)


ODD = st.sampled_from(
    ["", "   ", "\n\n", "<think>\nx\n</think>", "</think>", "{{ messages }}", "{% raise %}", "\x00", "a" * 400, "snow"]
)
ARGUMENTS = ["{}", "[1, 2]", "null", "not json {", '"text"', '{"path": {"b": [{"c": "é<|im_end|>"}]}}', ""]


@st.composite
def odd_messages(draw: st.DrawFn, marks: tuple[str, ...]) -> Messages:
    """Messages in whatever order, with nothing in them, with a template's own marks, arguments that are no JSON."""
    text = st.one_of(ODD, st.sampled_from(marks))
    made: Messages = []
    for role in draw(st.lists(st.sampled_from(["user", "assistant", "assistant", "system", "tool"]), min_size=1)):
        message: dict[str, Any] = {"role": role, "content": draw(text)}
        if role == "assistant":
            message["weight"] = draw(st.integers(0, 1))
            message["content"] = draw(st.one_of(st.none(), text))
            function = {"name": draw(st.sampled_from(["read", "edit"])), "arguments": draw(st.sampled_from(ARGUMENTS))}
            calls = [{"id": "abcdefghi", "type": "function", "function": function}]
            message |= draw(st.sampled_from([{}, {"tool_calls": calls}, {"tool_calls": calls * 2}]))
            message |= {"reasoning_content": draw(text)} if draw(st.booleans()) else {}
        if role == "tool":
            message["tool_call_id"] = "abcdefghi"
        made.append(message)
    return made


@pytest.mark.parametrize("name", [*OWN, *THEIRS])
@given(data=st.data(), limit=st.sampled_from([60, 4096]), tooled=st.booleans())
@COMMON
def test_no_conversation_however_odd_stops_a_run(name: str, data: st.DataObject, limit: int, tooled: bool) -> None:
    from lora_tui.worker.mask import IGNORED
    from lora_tui.worker.rows import Row
    from lora_tui.worker.tokenize import Tokens, tokenize

    found = template(name)
    marks = tuple(mark for mark in (found.header, found.end, found.header + "x" + found.end) if mark) or ("x",)
    row = Row(id="odd", messages=data.draw(odd_messages(marks)), tools=TOOLS if tooled else None)
    made = list(tokenize(found.tokenizer, [row], "train", limit))
    assert made
    for item in made:
        if isinstance(item, Tokens):
            assert len(item.input_ids) <= limit
            assert 0 < item.loss_tokens < len(item.labels)
            assert all(label in (IGNORED, number) for label, number in zip(item.labels, item.input_ids, strict=True))


def test_a_result_that_nobody_asked_for_is_no_reason_to_stop() -> None:
    from lora_tui.jobs.audit import LeftOut
    from lora_tui.worker.rows import Row
    from lora_tui.worker.windows import windows

    messages = [
        {"role": "user", "content": "Go on."},
        {"role": "tool", "tool_call_id": "abcdefghi", "content": "snow " * 30},
        {"role": "assistant", "content": "white " * 200},
        {"role": "assistant", "content": "Done."},
    ]
    made = windows(template("qwen2_5"), Row(id="odd", messages=messages), 150)
    assert [item.reason for item in made if isinstance(item, LeftOut)] == ["too_long"]
