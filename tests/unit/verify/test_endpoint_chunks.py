"""Streamed answers as servers were recorded to send them, cut into pieces anywhere."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_tui.verify.endpoints.chunks import Broken, Said, Stream

HELLO = "Hello from"


def sse(*events: object, done: bool = True, end: str = "\n\n") -> bytes:
    lines = [f"data: {json.dumps(event)}{end}" for event in events]
    return "".join([*lines, f"data: [DONE]{end}"] if done else lines).encode()


def delta(finish: str | None = None, **fields: object) -> dict[str, object]:
    return {"model": "tiny", "choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}


VLLM = sse(  # 0.32: usage in a chunk of its own, the finish on the last piece
    {**delta(role="assistant", content=""), "prompt_token_ids": None, "prompt_text": None},
    delta(content="Hel"),
    delta(content="lo"),
    delta("length", content=" from"),
    {
        "model": "tiny",
        "choices": [],
        "usage": {"prompt_tokens": 12, "total_tokens": 15, "completion_tokens": 3},
        "system_fingerprint": "vllm-0.32.0",
    },
)
LLAMA = sse(  # b11549: content null, timings beside the usage
    delta(role="assistant", content=None),
    delta(content="Hel"),
    delta(content="lo"),
    delta(content=" from"),
    delta("length"),
    {
        "model": "tiny",
        "choices": [],
        "usage": {"completion_tokens": 3, "prompt_tokens": 12, "prompt_tokens_details": {"cached_tokens": 11}},
        "timings": {"cache_n": 11, "prompt_n": 1, "prompt_ms": 0.419, "predicted_n": 3, "predicted_ms": 1.327},
    },
)
TIMINGS = sse(  # the same when no usage is asked for
    delta(content="Hello"),
    delta(content=" from"),
    {**delta("length"), "timings": {"cache_n": 11, "prompt_n": 1, "predicted_n": 3, "predicted_ms": 1.327}},
)
PYTHON = sse(  # llama_cpp.server: never a usage
    {"choices": [{"index": 0, "delta": {"role": "assistant"}, "logprobs": None, "finish_reason": None}]},
    delta(content="Hello"),
    delta(content=" from"),
    delta("length"),
)
TOGETHER = sse(  # role on every delta, usage on the last chunk, which ends with eos
    delta(role="assistant", content="Hello"),
    {
        **delta("eos", role="assistant", content=" from"),
        "usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15},
    },
)


def read(data: bytes, cuts: list[int] | None = None) -> tuple[str, Stream]:
    stream = Stream(10_000)
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts or [])})
    text = "".join(stream.feed(data[a:b]) for a, b in itertools.pairwise(places))
    return text + stream.end(), stream


@pytest.mark.parametrize(
    ("recorded", "finish", "tokens", "prompt", "counted"),
    [
        (VLLM, "length", 3, 12, False),
        (LLAMA, "length", 3, 12, False),
        (TIMINGS, "length", 3, 12, False),
        (PYTHON, "length", 2, 0, True),
        (TOGETHER, "stop", 3, 12, False),
    ],
    ids=["vllm", "llama.cpp", "llama.cpp timings", "llama_cpp.server", "together"],
)
@given(cuts=st.lists(st.integers(0, 5000), max_size=12))
def test_recorded_answers_are_read_wherever_they_are_cut(
    recorded: bytes, finish: str, tokens: int, prompt: int, counted: bool, cuts: list[int]
) -> None:
    text, stream = read(recorded, cuts)
    assert text == HELLO
    assert (stream.finish, stream.tokens, stream.prompt_tokens, stream.counted) == (finish, tokens, prompt, counted)
    assert stream.done
    assert stream.model == "tiny"
    again, _ = read(recorded.replace(b"\n", b"\r\n"), cuts)
    assert again == HELLO


@given(text=st.text(max_size=30), cuts=st.lists(st.integers(0, 5000), max_size=12))
def test_characters_of_several_bytes_survive_any_cut(text: str, cuts: list[int]) -> None:
    events = [{"choices": [{"index": 0, "delta": {"content": character}}]} for character in text]
    data = "".join(f"data: {json.dumps(event, ensure_ascii=False)}\n\n" for event in events).encode(
        "utf-8", "surrogatepass"
    )
    if any("\ud800" <= character <= "\udfff" for character in text):
        with pytest.raises(Broken):
            read(data, cuts)
    else:
        assert read(data, cuts)[0] == text


@given(data=st.binary(max_size=200), cuts=st.lists(st.integers(0, 200), max_size=4))
def test_noise_is_never_an_answer(data: bytes, cuts: list[int]) -> None:
    try:
        text, stream = read(data, cuts)
    except (Broken, Said):
        return
    assert (text, stream.finish) == ("", "")


@pytest.mark.parametrize(
    "event",
    [
        {"choices": [{"index": 0, "delta": {"content": 7}}]},
        {"choices": [{"index": 0, "delta": "Hello"}]},
        {"choices": {"delta": {}}},
        {"choices": [], "usage": {"prompt_tokens": "many"}},
        {"choices": [], "usage": {"prompt_tokens": -1}},
        [1],
        7,
    ],
)
def test_a_wrong_shape_is_told(event: object) -> None:
    with pytest.raises(Broken):
        read(sse(event))


@pytest.mark.parametrize(
    ("error", "words", "status"),
    [
        ({"message": "engine died", "code": 500}, "engine died", 500),
        ({"message": "engine died", "code": None}, "engine died", 0),
        ("engine died", "engine died", 0),
    ],
)
def test_an_error_in_the_stream_is_told_with_its_words(error: object, words: str, status: int) -> None:
    for data in (sse(delta(content="Hel"), {"error": error}), json.dumps({"error": error}).encode()):
        with pytest.raises(Said, match=words) as caught:
            read(data)
        assert caught.value.status == status


def test_thinking_counts_as_tokens_and_is_no_part_of_the_answer() -> None:
    text, stream = read(sse(delta(reasoning="hm"), delta(reasoning_content="so"), delta("stop", content="Yes")))
    assert (text, stream.tokens, stream.finish) == ("Yes", 3, "stop")


def test_what_is_missing_is_not_made_up() -> None:
    text, stream = read(sse(delta(content="Hel"), done=False))
    assert (text, stream.finish, stream.done) == ("Hel", "", False)
    text, stream = read(sse(delta("stop", content="Yes"), {"choices": None, "usage": {"completion_tokens": None}}))
    assert (text, stream.tokens, stream.counted) == ("Yes", 1, True)
    _, stream = read(sse(delta("stop", content="Yes"), {"choices": [], "usage": {"completion_tokens": 0}}))
    assert (stream.tokens, stream.counted) == (1, True)


def test_a_line_or_an_answer_without_an_end_is_given_up() -> None:
    with pytest.raises(Broken, match="a line is longer than"):
        read(b"data: " + b"x" * (3 << 20))
    with pytest.raises(Broken, match="is longer than 10,000 characters"):
        read(sse(*[delta(content="x" * 1000)] * 20))
