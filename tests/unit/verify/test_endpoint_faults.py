"""What a server can do wrong, planted: each is a fault with its own name, and never an answer."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from asking_endpoints import SHORT, asked, endpoint
from certificates import self_signed
from fakes.fault_server import LIMIT, Fault, fault_server
from lora_tui.verify.asking import EndpointFault, Question
from lora_tui.verify.endpoints import Patience, refusals
from lora_tui.workspace.layout import Workspace


@pytest.mark.parametrize(
    ("fault", "code", "again", "words"),
    [
        ("changed-model", "wrong-model", False, "another model than before: tuned in place of base"),
        ("rate-limited", "rate-limited", True, "asked too often: slow down"),
        ("rate-limited-inside", "rate-limited", True, "asked too often: slow down"),
        ("cut-off", "cut-off", True, "broke off in the middle"),
        ("no-end", "cut-off", True, "did not say how it ended"),
        ("error-inside", "cut-off", True, "the engine died"),
        ("malformed", "malformed", True, "cannot be read"),
        ("wrong-shape", "malformed", True, r"Expected `str \| null`, got `int`"),
        ("endless", "malformed", True, "is longer than"),
        ("hang", "hang", False, r"said nothing for 0\.4 s"),
        ("pings", "hang", False, "said nothing"),
        ("refused", "refused", True, "answered 500: no room"),
    ],
)
async def test_a_fault_has_a_name_and_is_no_answer(
    workspace: Workspace, fault: Fault, code: str, again: bool, words: str
) -> None:
    with fault_server(fault) as server:
        async with endpoint(workspace, f"openai:{server.url}#base") as one:
            await one.identify()
            begun = time.monotonic()
            with pytest.raises(EndpointFault, match=words) as caught:
                await asked(one)
            assert (caught.value.code, caught.value.again) == (code, again)
            assert caught.value.where == server.url.removesuffix("/v1")
            assert time.monotonic() - begun < 10


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("rate-limited", "rate-limited"),
        ("cut-off", "cut-off"),
        ("malformed", "malformed"),
        ("hang", "hang"),
        ("refused", "refused"),
    ],
)
async def test_over_https_the_faults_have_the_same_names(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Fault, code: str
) -> None:
    tls, trusted = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    with fault_server(fault, times=1, tls=tls) as server:
        async with endpoint(workspace, f"openai:{server.url}#base") as one:
            assert (await one.identify()).proven
            with pytest.raises(EndpointFault) as caught:
                await asked(one)
            assert caught.value.code == code
            assert (await asked(one))[0] == "I am base ."


async def test_a_certificate_that_is_not_trusted_is_no_server(workspace: Workspace, tmp_path: Path) -> None:
    tls, _ = self_signed(tmp_path)
    with fault_server(tls=tls) as server:
        async with endpoint(workspace, f"openai:{server.url}#base") as one:
            with pytest.raises(EndpointFault, match="certificate") as caught:
                await one.identify()
            assert caught.value.code == "unreachable"
            assert server.seen == []


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("7", 7.0), ("0.5", 0.5), ("-3", 0.0), ("soon", None), ("", None), ("Sat, 01 Jan 2000 00:00:00 GMT", 0.0)],
)
def test_how_long_to_wait_is_a_number_or_a_date(said: str, seconds: float | None) -> None:
    assert refusals.seconds(said) == seconds


async def test_it_is_asked_again_after_as_long_as_the_server_says_and_then_answers(workspace: Workspace) -> None:
    with fault_server("rate-limited", times=1) as server:
        async with endpoint(workspace, f"openai:{server.url}#base") as one:
            with pytest.raises(EndpointFault) as caught:
                await asked(one)
            assert caught.value.wait == pytest.approx(0.05)
            assert (await asked(one))[0] == "I am base ."


async def test_a_server_that_is_silent_from_the_first_is_a_hang_and_one_that_is_not_there_unreachable(
    workspace: Workspace,
) -> None:
    with fault_server("silent") as server:
        async with endpoint(workspace, f"openai:{server.url}#base") as one:
            with pytest.raises(EndpointFault) as caught:
                await one.identify()
            assert caught.value.code == "hang"
    async with endpoint(workspace, f"openai:{server.url}#base") as one:
        with pytest.raises(EndpointFault, match="nothing listens there") as caught:
            await one.identify()
        assert (caught.value.code, caught.value.again) == ("unreachable", True)


async def test_a_name_that_is_not_served_and_one_that_another_answers_to_are_found_before_the_first_question(
    workspace: Workspace,
) -> None:
    with fault_server() as server:
        async with endpoint(workspace, f"openai:{server.url}#tuned-2") as one:
            with pytest.raises(EndpointFault, match="does not serve tuned-2") as caught:
                await one.identify()
            assert caught.value.code == "wrong-model"
    with fault_server("wrong-model") as server:
        async with endpoint(workspace, f"openai:{server.url}#tuned") as one:
            with pytest.raises(EndpointFault, match="answers as base when it is asked for tuned") as caught:
                await one.identify()
            assert caught.value.code == "wrong-model"
            assert server.seen == []


async def test_where_any_name_is_answered_names_prove_nothing_and_that_is_said(workspace: Workspace) -> None:
    with fault_server("any-name") as server:
        async with endpoint(workspace, f"openai:{server.url}#tuned") as one:
            found = await one.identify()
            assert not found.proven
            assert "it answers to any name" in found.notes[0]
        async with endpoint(workspace, f"openai:{server.url}#nobody") as one:
            with pytest.raises(EndpointFault) as caught:
                await one.identify()
            assert caught.value.code == "wrong-model"
    with fault_server() as server:
        async with endpoint(workspace, f"openai:{server.url}#tuned") as one:
            found = await one.identify()
            assert (found.proven, found.served, found.notes, found.digest) == (True, ("base", "tuned"), (), "")


async def test_a_prompt_that_was_cut_is_told_by_its_words_or_by_a_number_that_stays_the_same(
    workspace: Workspace,
) -> None:
    with fault_server("truncated-prompt") as server:
        async with endpoint(workspace, f"openai:{server.url}#base") as one:
            assert (await asked(one, "word " * (LIMIT - 20)))[1].prompt_tokens == LIMIT - 12
            with pytest.raises(EndpointFault, match="at least 900") as caught:
                await asked(one, "word " * 1000)
            assert caught.value.code == "truncated-prompt"


async def test_without_usage_the_tokens_are_counted_here_and_marked(workspace: Workspace) -> None:
    with fault_server("no-usage") as server:
        async with endpoint(workspace, f"openai:{server.url}#base") as one:
            text, end = await asked(one)
            assert (text, end.tokens, end.counted, end.stopped) == ("I am base .", 4, True, True)


async def test_a_whole_answer_tells_its_tokens_its_end_and_who_gave_it(workspace: Workspace) -> None:
    with fault_server() as server:
        async with endpoint(workspace, f"openai:{server.url}#tuned") as one:
            text, end = await asked(one, "three little words", max_tokens=2, seed=3)
            assert (text, end.finish, end.tokens, end.prompt_tokens, end.counted) == ("I am ", "length", 2, 11, False)
            assert end.model == "tuned"
        [body] = server.seen
        assert (body["seed"], body["temperature"], body["max_tokens"]) == (3, 0, 2)
        assert body["stream_options"] == {"include_usage": True}


async def test_many_are_under_way_at_once_over_few_connections_and_none_takes_another_answer(
    workspace: Workspace,
) -> None:
    with fault_server(answer=lambda model, prompt: f"{model} heard {prompt}", pause=0.002) as server:
        async with endpoint(workspace, f"openai:{server.url}#tuned", Patience()) as one:
            await one.identify()
            prompts = [f"number {number}" for number in range(48)]
            found = await asyncio.gather(*(asked(one, prompt) for prompt in prompts))
    assert [text for text, _ in found] == [f"tuned heard {prompt}" for prompt in prompts]


async def test_who_stops_listening_ends_the_request_and_the_next_is_answered(workspace: Workspace) -> None:
    with fault_server(answer=lambda model, prompt: "word " * 50, pause=0.02) as server:
        async with endpoint(workspace, f"openai:{server.url}#base") as one:
            stream = one.ask(Question("Hello"))
            assert await anext(stream) == "word "
            await stream.aclose()  # type: ignore[attr-defined]
            assert (await asked(one, max_tokens=3))[0] == "word word word "


async def test_a_key_that_the_server_repeats_is_not_told(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-key-9")
    with fault_server("refused") as server:
        async with endpoint(workspace, f"openai:{server.url}#base", SHORT) as one:
            with pytest.raises(EndpointFault) as caught:
                await asked(one)
    assert "you sent Bearer <key>" in str(caught.value)
    assert "planted" not in str(caught.value)


async def test_a_page_of_the_web_is_no_answer(workspace: Workspace) -> None:
    with fault_server("web-page") as server:
        async with endpoint(workspace, f"openai:{server.url}#base") as one:
            with pytest.raises(EndpointFault) as caught:
                await one.identify()
            assert caught.value.code == "malformed"


async def test_a_server_with_a_tokenizer_is_held_to_it(workspace: Workspace) -> None:
    with fault_server("truncated-prompt", engine="vllm") as server:
        async with endpoint(workspace, f"vllm:{server.url}#tuned") as one:
            assert (await asked(one, "word " * LIMIT))[1].prompt_tokens == LIMIT + 8
            with pytest.raises(EndpointFault, match="its own tokenizer makes 318 of") as caught:
                await asked(one, "word " * (LIMIT + 10))
            assert caught.value.code == "truncated-prompt"
    with fault_server("no-usage", lambda *_: "I am\ttuned , really", engine="vllm") as server:
        async with endpoint(workspace, f"openai:{server.url}#tuned") as one:
            text, end = await asked(one)
            assert (text, end.tokens, end.counted) == ("I am\ttuned , really", 5, True)


async def test_a_base_that_a_vllm_may_mix_with_its_adapters_is_said_so(workspace: Workspace) -> None:
    with fault_server(engine="vllm") as server:
        async with (
            endpoint(workspace, f"vllm:{server.url}#base") as base,
            endpoint(workspace, f"vllm:{server.url}#tuned") as tuned,
        ):
            [note] = (await base.identify()).notes
            assert "--max-loras one higher" in note
            assert (await tuned.identify()).notes == ()
            server.slots = 2
            assert (await base.identify()).notes == ()


@pytest.mark.parametrize(
    ("asked_for", "says", "is_it"),
    [
        ("gpt-4o", "gpt-4o-2024-08-06", True),
        ("mistral-latest", "mistral-2411", True),
        ("coder", "coder-rust", False),
        ("coder", "base", False),
    ],
)
async def test_a_name_with_a_date_is_the_same_model_and_another_name_is_not(
    workspace: Workspace, asked_for: str, says: str, is_it: bool
) -> None:
    with fault_server("wrong-model", models=(asked_for, says)) as server:
        async with endpoint(workspace, f"openai:{server.url}#{asked_for}") as one:
            if is_it:
                assert (await one.identify()).notes == (f"it calls the model {says}",)
                assert (await asked(one))[1].model == says
            else:
                with pytest.raises(EndpointFault) as caught:
                    await one.identify()
                assert caught.value.code == "wrong-model"


async def test_prompts_are_sent_in_the_form_that_every_tokenizer_reads_alike(workspace: Workspace) -> None:
    with fault_server() as server:
        async with endpoint(workspace, f"openai:{server.url}#base") as one:
            await asked(one, "cafe\u0301")
    assert server.seen[0]["messages"] == [{"role": "user", "content": "caf\u00e9"}]
