"""Outputs get shorter, and nothing else changes."""

from __future__ import annotations

import base64

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_tui.curation.line_numbers import without_line_numbers
from lora_tui.curation.trim import capped, trimmed
from lora_tui.sources.model import About, ImagePart, ImageUrl, Message, TextPart
from stories import calls, says, user

CODE = ["def push(value)", "", "  @items << value", "end"]
FORMATS = {
    "opencode": "<path>/a/s.rb</path>\n<type>file</type>\n<content>\n{}\n\n(End of file - total 4 lines)\n</content>",
    "opencode, a part": "<content>\n{}\n\n(Showing lines 2-4 of 6. Use offset=5 to continue.)\n</content>",
    "opencode before 1.2": "<file>\n{}\n\n(End of file - total 4 lines)\n</file>",
    "opencode 2": "Read file s.rb, lines 1-4\n{}",
    "claude": "{}",
    "cat -n": "{}",
}
PREFIX = {
    "opencode": "{}: ",
    "opencode, a part": "{}: ",
    "opencode before 1.2": "{:05}| ",
    "opencode 2": "{}: ",
    "claude": "{:6}→",
    "cat -n": "{:6}\t",
}


def numbered(agent: str, lines: list[str], start: int = 1) -> str:
    return "\n".join(PREFIX[agent].format(number) + line for number, line in enumerate(lines, start))


@pytest.mark.parametrize("agent", FORMATS)
@pytest.mark.parametrize("start", [1, 98])
def test_a_file_that_was_read_has_no_line_numbers_whoever_read_it(agent: str, start: int) -> None:
    read = FORMATS[agent].replace("{}", numbered(agent, CODE, start))
    assert without_line_numbers(read) == FORMATS[agent].replace("{}", "\n".join(CODE))


@pytest.mark.parametrize(
    "text",
    [
        "1: first\n3: third",
        "1: a\nno number\n2: b",
        "name: x\n1: y",
        "12:30 we met\n12:31 we left",
        "",
        "1. one\n2. two",
    ],
)
def test_numbers_that_belong_to_the_text_stay(text: str) -> None:
    assert without_line_numbers(text) == text


def test_a_numbered_listing_that_codex_printed_is_a_file_too() -> None:
    told = "Chunk ID: ea78\nWall time: 0.0 seconds\nProcess exited with code 0\nOriginal token count: 13\nOutput:\n"
    assert without_line_numbers(told + numbered("cat -n", CODE)) == told + "\n".join(CODE)


def result(output: str, tool: str = "bash", cap: int = 2_000) -> str:
    messages = calls(tool, {"command": "x", "filePath": "x"}, output)
    content = trimmed([user("Look"), *messages], cap)[-1].content
    assert isinstance(content, str)
    return content


def test_a_long_output_keeps_its_beginning_and_its_end_and_says_how_much_is_missing() -> None:
    lines = [f"line {number}" for number in range(1_000)]
    short = result("\n".join(lines), cap=300).split("\n")
    assert (short[0], short[-1]) == ("line 0", "line 999")
    marker = next(line for line in short if line.startswith("[…"))
    shown = [line for line in short if line.startswith("line ")]
    left_out = int(marker.split()[1].replace(",", ""))
    assert left_out + len("\n".join(shown)) - 1 == len("\n".join(lines))
    assert set(shown) <= set(lines), "a line was cut although its end was near"


def test_reminders_and_colours_are_gone() -> None:
    output = "a\n<system-reminder>\nKeep it secret\n</system-reminder>\n\x1b[31mred\x1b[0m \x1b]0;title\x07done"
    assert result(output) == "a\nred done"


def test_pictures_and_base64_are_gone_with_a_word_about_them() -> None:
    blob = base64.b64encode(bytes(range(256)) * 4).decode()
    assert result(f"<img src='data:image/png;base64,{blob}'>") == "<img src='[data URL of 1,390 characters left out]'>"
    assert result(f"begin {blob} end") == "begin [1,368 characters of base64 left out] end"
    wrapped = "\n".join(blob[start : start + 76] for start in range(0, len(blob), 76))
    assert result(wrapped).endswith("characters of base64 left out]")
    picture = Message(role="user", content=[TextPart("See"), ImagePart(ImageUrl("data:image/png;base64,AAAA"))])
    assert trimmed([picture])[0].content == [TextPart("See"), TextPart("[picture left out]")]


def test_long_paths_hashes_and_words_are_no_base64() -> None:
    text = "/usr/lib/" + "node_modules/package/" * 30 + "\n" + "a" * 400 + "\n" + "0123456789abcdef" * 20
    assert result(text) == text


def test_the_users_own_words_are_not_cut() -> None:
    words = "Fix this:\n" + "1: x\n" * 2_000
    assert trimmed([user(words)])[0].content == words


def test_an_attached_file_is_shortened_like_a_tools_output() -> None:
    told = 'Called the Read tool with the following input: {"filePath":"s.rb"}'
    parts = [
        TextPart(told),
        TextPart(FORMATS["opencode"].replace("{}", numbered("opencode", CODE))),
        TextPart("Fix it"),
    ]
    message = Message(role="user", content=parts, about=About(synthetic=(0, 1)))
    short = trimmed([message])[0]
    assert short.content[1].text == FORMATS["opencode"].replace("{}", "\n".join(CODE))
    assert short.content[2] is parts[2]


def test_what_the_assistant_wrote_is_never_touched() -> None:
    wrote = says("\x1b[31m1: a\n2: b " + "x" * 9_000 + "<system-reminder>x</system-reminder>")
    call = calls("write", {"filePath": "a", "content": "1: a\n" * 3_000}, "ok")[0]
    short = trimmed([wrote, call], 50)
    assert short[0] is wrote
    assert short[1] is call


texts = st.text(st.sampled_from("ab1: →|\n\t<>A9/=\x1b[m"), max_size=400) | st.text(max_size=200)
outputs = texts | st.lists(texts).map("\n".join) | st.integers(1, 40).map(lambda n: numbered("claude", ["x"] * n))


@given(text=outputs, cap=st.integers(0, 300), tool=st.sampled_from(["bash", "read", "edit"]))
def test_an_output_is_never_longer_than_the_cap_and_never_longer_than_it_was(text: str, cap: int, tool: str) -> None:
    short = result(text, tool, cap)
    assert len(short) <= max(len(text), 0)
    assert cap == 0 or len(short) <= cap


@given(text=st.text(max_size=3_000), cap=st.integers(60, 500))
def test_what_is_left_of_a_capped_text_is_its_beginning_and_its_end(text: str, cap: int) -> None:
    short = capped(text, cap)
    if len(text) <= cap:
        assert short == text
    else:
        head, _, rest = short.partition("\n[… ")
        tail = rest.partition(" …]\n")[2]
        assert text.startswith(head)
        assert text.endswith(tail)
        assert capped(short, cap) == short


@given(lines=st.lists(st.text(st.characters(exclude_characters="\n\r"), max_size=20), min_size=1, max_size=30))
def test_whatever_a_file_holds_its_numbers_come_off_exactly(lines: list[str]) -> None:
    lines[0] = "first" + lines[0]
    text = FORMATS["opencode"].replace("{}", "\n".join(lines))
    assert without_line_numbers(FORMATS["opencode"].replace("{}", numbered("opencode", lines))) == text


@given(st.lists(st.builds(Message, role=st.just("user"), content=texts), max_size=4), st.integers(0, 99))
def test_trimming_keeps_every_message_in_its_place(messages: list[Message], cap: int) -> None:
    short = trimmed(messages, cap)
    assert [message.about for message in short] == [message.about for message in messages]
    assert all(msgspec.json.encode(message) for message in short)
