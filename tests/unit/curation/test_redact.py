"""What a person sees instead of a secret, in every text a message carries."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_tui.curation.redact import Redactor, redact_text, redacted
from lora_tui.curation.redact_decode import decoded
from lora_tui.sources.model import About, FileData, FilePart, Function, Message, TextPart, ToolCall
from secret_values import filled
from stories import calls, says, user


def made(case: str, salt: str = "") -> str:
    return filled(case, salt)[0]


TOKEN = made("ghp_{a36}")
OTHER = made("ghp_{a36}", "other")
PASSWORD = made("{a14}")


def test_the_same_secret_has_the_same_number_in_the_whole_example_and_another_one_the_next() -> None:
    found = redacted([user(f"use {TOKEN}"), says(f"{OTHER} or {TOKEN}")])
    assert [message.content for message in found.messages] == [
        "use <SECRET:github_pat:1>",
        "<SECRET:github_pat:2> or <SECRET:github_pat:1>",
    ]
    assert found.findings == {"github_pat": 3}


def test_what_holds_nothing_is_the_very_same_message() -> None:
    message = calls("edit", {"filePath": "a.py", "oldString": "a", "newString": "b"}, "ok")[0]
    assert Redactor().message(message) is message


def test_a_password_that_was_recognised_once_is_replaced_where_it_stands_alone_also_before() -> None:
    found = redacted([user(f"my login is {PASSWORD}"), says(f"DB_PASSWORD={PASSWORD}"), says(f"it said: {PASSWORD}!")])
    assert PASSWORD not in str(found.messages)


def test_a_private_key_keeps_the_example_out_and_is_not_shown_either() -> None:
    key = made("-----BEGIN RSA {-}PRIVATE KEY-----\n{B64}\n{B64}\n-----END RSA {-}PRIVATE KEY-----")
    found = redacted([says(f"cat id_rsa\n{key}\n$")])
    assert found.blocked == "private key"
    assert found.messages[0].content == "cat id_rsa\n<SECRET:private_key:1>\n$"


def test_tool_arguments_stay_valid_json_and_are_redacted_inside() -> None:
    arguments = {"command": f'curl -H "X-Api-Key: {PASSWORD}a1b2c3d4" x', "env": {"api_key": PASSWORD, "n": [1, TOKEN]}}
    [message, _] = calls("bash", arguments, "ok")
    safe = json.loads(Redactor().message(message).tool_calls[0].function.arguments)
    assert PASSWORD not in json.dumps(safe)
    assert safe["env"] == {"api_key": "<SECRET:assignment:2>", "n": [1, "<SECRET:github_pat:1>"]}


def test_arguments_that_are_no_json_are_redacted_as_text() -> None:
    call = ToolCall(id="1", function=Function(name="bash", arguments=f'{{"command": "echo {TOKEN}'))
    safe = Redactor().message(Message(role="assistant", tool_calls=[call]))
    assert safe.tool_calls[0].function.arguments == '{"command": "echo <SECRET:github_pat:1>'


def test_every_text_of_a_message_is_looked_at() -> None:
    attached = "data:text/plain;base64," + base64.b64encode(f"TOKEN={TOKEN}".encode()).decode()
    message = Message(
        role="user",
        content=[TextPart(f"see {TOKEN}"), FilePart(FileData(filename=f"{TOKEN}.txt", file_data=attached))],
        reasoning_content=f"hm {TOKEN}",
        about=About(diffs=("/home/marie/a.py",)),
    )
    safe = Redactor().message(message)
    assert TOKEN not in str(safe)
    assert isinstance(safe.content, list)
    assert isinstance(safe.content[1], FilePart)
    body = safe.content[1].file.file_data.partition(",")[2]
    assert base64.b64decode(body) == b"TOKEN=<SECRET:github_pat:1>"
    assert safe.about.diffs == ("/home/user/a.py",)


def test_an_attachment_that_cannot_be_read_as_text_is_left_out() -> None:
    attached = "data:application/pdf;base64," + base64.b64encode(b"\xff\xfe" + TOKEN.encode()).decode()
    message = Message(role="user", content=[FilePart(FileData(filename="a.pdf", file_data=attached))])
    [part] = Redactor().message(message).content or []
    assert isinstance(part, FilePart)
    assert part.file.file_data == "data:application/pdf;base64,"


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"output": f"A=1\nGH={TOKEN}\n"}),
        json.dumps(json.dumps({"token": TOKEN})),
        f"\x1b[31m{TOKEN[:9]}\x1b[0m\x1b[1m{TOKEN[9:]}\x1b[0m",
        f"next=%2Fcb%3Ftoken%3D{TOKEN}",
        f"00012| export GH={TOKEN}",
        f"+{TOKEN}",
        "".join(f"\\u{ord(letter):04x}" for letter in TOKEN),
    ],
    ids=["json", "json in json", "colours", "url", "numbered", "diff", "escaped"],
)
def test_a_secret_is_found_in_a_text_that_is_escaped_or_dressed_up(text: str) -> None:
    safe, findings = redact_text(text)
    assert findings == {"github_pat": 1}
    assert TOKEN[10:] not in safe
    assert "\\u0067" not in safe


def test_paths_stay_usable_without_the_persons_name() -> None:
    safe, findings = redact_text("error in /home/marie/app/src/a.rs:12 and C:\\Users\\Marie\\x.swift")
    assert safe == "error in /home/user/app/src/a.rs:12 and C:\\Users\\user\\x.swift"
    assert findings == {"home_path": 2}


def test_a_rule_for_personal_data_can_be_off() -> None:
    text = "ask a.person@company.net about 81.2.69.142"
    assert redact_text(text, frozenset({"ipv4"}))[0] == "ask <PII:email:1> about 81.2.69.142"


def test_personal_data_is_no_secret() -> None:
    redactor = Redactor()
    redactor.text(f"a.person@company.net {TOKEN}")
    assert redactor.findings == {"email": 1, "github_pat": 1}
    assert redactor.secrets == 1


def test_placeholders_of_an_earlier_redaction_stay_and_keep_their_numbers() -> None:
    safe, findings = redact_text(f"<SECRET:github_pat:1> and {TOKEN}")
    assert safe == "<SECRET:github_pat:1> and <SECRET:github_pat:2>"
    assert findings == {"github_pat": 1}


PIECES = st.one_of(
    st.sampled_from(
        [TOKEN, OTHER, f"password={PASSWORD}", "\x1b[1m", '\\"', "\\n", "%3D", "\n", '"', "{", "a b", "é", "İ"]
    ),
    st.text(max_size=8),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(PIECES, max_size=12))
def test_nothing_is_left_to_redact_after_redaction(pieces: list[str]) -> None:
    safe, _ = redact_text("".join(pieces))
    again, findings = redact_text(safe)
    assert again == safe
    assert not findings
    assert "SECRET" in safe or TOKEN not in "".join(pieces)
    assert TOKEN not in safe


@settings(max_examples=150, deadline=None)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.just(f"x {TOKEN}"), st.lists))
def test_redacted_arguments_are_json_with_everything_else_in_place(data: object) -> None:
    text = json.dumps(data)
    safe = Redactor().arguments(text)
    assert json.loads(safe.replace("<SECRET:github_pat:1>", TOKEN)) == data
    assert safe == text or TOKEN in text


@settings(max_examples=150, deadline=None)
@given(st.lists(PIECES, max_size=12))
def test_every_place_of_a_decoded_text_is_known_in_the_original(pieces: list[str]) -> None:
    text = "".join([*pieces, "\x1b[0m"])
    inner = decoded(text)
    assert inner is not None
    for at, letter in enumerate(inner.text):
        original = text[inner.start(at) : inner.end(at + 1)]
        assert original == letter or original[:1] in ("\\", "%") or original.endswith(letter)


def test_what_is_glued_to_a_secret_is_found_once_that_is_gone() -> None:
    safe, _ = redact_text(f"password={PASSWORD}{TOKEN}{{")
    assert PASSWORD not in safe
    assert TOKEN not in safe


@pytest.mark.parametrize("number", [9, 10, 40])
def test_many_secrets_of_one_kind_are_each_replaced_once(number: int) -> None:
    """From the tenth on a placeholder has two digits, and looks like a secret with a name before it."""
    tokens = ["ghp_" + f"{place:02}aB3" * 7 + "x" for place in range(number)]
    text = "\n".join(f"line {token}" for token in tokens)
    safe, found = redact_text(text)
    assert safe.split("\n") == [f"line <SECRET:github_pat:{place}>" for place in range(1, number + 1)]
    assert found == {"github_pat": number}
    assert redact_text(safe) == (safe, {})


def test_a_password_that_is_a_word_of_the_placeholders_ends() -> None:
    password = "assign" + "ment"
    told = redacted([user(f"postgres://app:{password}@db.lab.net/app"), user(f"It is {password}, I think")])
    assert password not in str(told.messages).replace(f"<SECRET:{password}", "")
    assert "It is <SECRET:" in str(told.messages)
