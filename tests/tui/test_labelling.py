"""The Sessions screen as a labelling tool: queues, bulk, notes, tags, near-duplicates, edits beside the original."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from on_screen import shown, text_of, until

from lora_tui.curation import clusters, examples, labels, queues, reading
from lora_tui.curation.examples import Filter
from lora_tui.curation.weights import weights
from lora_tui.tui.app import LoraTuiApp
from lora_tui.tui.screens.sessions import draft
from lora_tui.tui.screens.sessions.reader import Reader
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace
from stories import calls, says, store_session, user

OpenApp = Callable[..., LoraTuiApp]


def _decisions(workspace: Workspace) -> list[str | None]:
    return [row.decision for row in examples.rows(workspace, examples.ids(workspace))]


async def test_a_queue_keeps_its_list_and_goes_on_where_it_was(open_app: OpenApp, little: Workspace) -> None:
    async with open_app("sessions").run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "1 of 9")
        await pilot.press("l")  # unlabelled
        await shown(pilot.app, "1 of 7")
        await pilot.press("Q", "enter")
        await shown(pilot.app, "Its name:")
        await pilot.press("enter")
        await shown(pilot.app, "all-1  7 left of 7")
        await pilot.press("a", "x")
        await shown(pilot.app, "5 left of 7")
        await shown(pilot.app, "3 of 7")
        await until(lambda: _decisions(little).count("reject") == 2)
    async with open_app("sessions").run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "1 of 9")
        await pilot.press("Q")
        await shown(pilot.app, "all-1  5 left of 7")
        await pilot.press("enter")
        await shown(pilot.app, "3 of 7")
        await pilot.press("u")
        await shown(pilot.app, "6 left of 7")
        await shown(pilot.app, "2 of 7")


async def test_what_left_the_filter_is_told_and_the_list_stays(open_app: OpenApp, little: Workspace) -> None:
    queue = queues.create(little, "mine", Filter(decision="unlabelled"), author="someone")
    labels.decide(little, [queues.items(little, queue)[4].example_id], "reject", author="somebody else")
    async with open_app("sessions").run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "1 of 9")
        await pilot.press("Q", "enter")
        await shown(pilot.app, "7 left of 7 · 1 left the filter")


async def test_a_second_opinion_does_not_see_the_first(open_app: OpenApp, little: Workspace) -> None:
    labels.decide(little, examples.ids(little), "accept", author="the first")
    async with open_app("sessions").run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "✓   rust")
        await pilot.press("Q")
        await shown(pilot.app, "a second opinion on what the first decided")
        await pilot.press("j", "enter")
        await shown(pilot.app, "without showing how")
        await pilot.press("enter")
        text = await shown(pilot.app, "overlap-1  7 left of 7")
        assert "✓" not in text
        await pilot.press("x")
        await shown(pilot.app, "✗   ")


async def test_one_decision_about_everything_shown_and_one_undo(open_app: OpenApp, little: Workspace) -> None:
    before = _decisions(little)
    async with open_app("sessions").run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "1 of 9")
        await pilot.press("B")
        text = await shown(pilot.app, "9 examples pass this filter; 2 already decided.")
        assert "5 of them, drawn at random" in text
        await pilot.press("j", "enter")
        await until(lambda: _decisions(little) == ["reject"] * 9)
        await shown(pilot.app, "✗   rust")
        await pilot.press("u")
        await until(lambda: _decisions(little) == before)


async def test_notes_and_tags_stay_with_the_example(open_app: OpenApp, little: Workspace) -> None:
    first = examples.ids(little)[0]
    async with open_app("sessions").run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "1 of 9")
        await pilot.press("n")
        await shown(pilot.app, "take the note away")
        await pilot.press(*"check", "enter")
        await pilot.press("t")
        await shown(pilot.app, "a new tag …")
        await pilot.press("enter", *"style", "enter")
        await until(lambda: examples.rows(little, [first])[0].tags == ("style",))
        assert examples.rows(little, [first])[0].note == "check"
        await shown(pilot.app, "1 of 9")
        await pilot.press("t", "enter")
        await until(lambda: examples.rows(little, [first])[0].tags == ())


async def test_near_duplicates_are_listed_and_escape_returns(open_app: OpenApp, little: Workspace) -> None:
    answer = says("Use a ring: keep head and length, wrap with a mask, and double the storage when it is full. " * 3)
    for number in range(2):
        store_session(little, f"ses_twin{number}", [user(f"Explain how a ring buffer grows, take {number}"), answer])
    examples.refresh(little)
    clusters.recluster(little)
    async with open_app("sessions").run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "1 of 11")
        await pilot.press("D")
        await shown(pilot.app, "Explain how a ring buffer grows, take 1")
        await shown(pilot.app, "1 of 2")
        await pilot.press("escape")
        await shown(pilot.app, "of 11")


async def test_an_edit_stands_beside_what_was_recorded(open_app: OpenApp, little: Workspace) -> None:
    identity = examples.ids(little)[-1]
    messages = reading.example(little, identity).messages
    changed = [*messages[:-1], msgspec.structs.replace(messages[-1], content="Twice is the same as once.")]
    labels.edit(little, identity, changed, author="someone")
    async with open_app("sessions").run_test(size=(100, 30)) as pilot:
        await shown(pilot.app, "1 of 9")
        await pilot.press("G", "d")
        text = await shown(pilot.app, "as edited")
        assert "-│+Twice is the same as once." in text
        assert "Doing it twice" in text
        await pilot.press("escape")
        await until(lambda: "as edited" not in text_of(pilot.app))


async def test_orders_and_rarer_filters_are_a_choice_away(open_app: OpenApp, little: Workspace) -> None:
    async with open_app("sessions").run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "1 of 9")
        await pilot.press("s")
        await shown(pilot.app, "rarest language first")
        await pilot.press("j", "j", "j", "j", "enter")
        await shown(pilot.app, "longest first")
        longest = examples.ids(little, order="longest")
        assert longest != examples.ids(little)
        await pilot.press("F")
        await shown(pilot.app, "which model wrote the answers")
        await pilot.press("j", "enter")
        await shown(pilot.app, "anthropic/claude-sonnet-4-5  1")
        await pilot.press("end", "enter")
        await shown(pilot.app, "1 of 1")


async def test_progress_against_the_targets_is_one_key_away(open_app: OpenApp, little: Workspace) -> None:
    async with open_app("sessions").run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "1 of 9")
        await pilot.press("p")
        text = await shown(pilot.app, "build-rust")
        assert "1 of 200" in text
        assert "too few for a pace" in text


async def test_what_is_not_learned_from_is_marked(open_app: OpenApp) -> None:
    async with open_app("sessions").run_test(size=(80, 40)) as pilot:
        await shown(pilot.app, "1 of 9")
        await pilot.press("enter")  # its first cargo test failed, the second passed
        text = await shown(pilot.app, "○ not learned from")
        assert text.index("○ not learned from") < text.index("▸ bash cargo test → exit 101")


def test_a_weight_in_a_draft_is_a_persons_word(little: Workspace) -> None:
    messages = reading.example(little, examples.ids(little)[0]).messages
    text = draft.to_text(messages).replace('role = "assistant"', 'role = "assistant"\nweight = 0')
    changed = draft.from_text(text, messages, Path("draft.toml"))
    assert [message.about.weight for message in changed if message.role == "assistant"] == [0, 0, 0, 0, 0, 0, 0]
    assert set(weights(changed)) == {0}
    with pytest.raises(BadInput, match="0 or 1"):
        draft.from_text(text.replace("weight = 0", "weight = 7"), messages, Path("draft.toml"))


async def test_a_filter_or_a_search_in_a_queue_is_left_with_escape(open_app: OpenApp, little: Workspace) -> None:
    queues.create(little, "mine", Filter(decision="unlabelled"), author="someone")
    async with open_app("sessions").run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "1 of 9")
        await pilot.press("Q", "enter")
        await shown(pilot.app, "mine  7 left of 7")
        await pilot.press("slash", *"ring")
        await shown(pilot.app, "1 of 1")
        await pilot.press("enter")
        await shown(pilot.app, "esc back to mine")
        await pilot.press("escape")
        await shown(pilot.app, "mine  7 left of 7")
        await pilot.press("l", "a")
        await shown(pilot.app, "esc back to mine")
        await pilot.press("slash", *"zzz")
        await shown(pilot.app, "esc goes back to mine.")
        await pilot.press("escape", "escape")
        await shown(pilot.app, "mine  6 left of 7")  # the decision made outside answers the queue's question
        await pilot.press("slash", "escape")
        await shown(pilot.app, "mine  6 left of 7")


async def test_escape_clears_the_search_before_the_filter(open_app: OpenApp) -> None:
    async with open_app("sessions").run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "1 of 9")
        await pilot.press("l", "slash", *"ring", "enter")
        await shown(pilot.app, "“ring”")
        await pilot.press("escape")
        text = await shown(pilot.app, "2 of 7")
        assert "“ring”" not in text
        assert "l unlabelled" in text
        await pilot.press("escape")
        await shown(pilot.app, "of 9")


async def test_a_decision_about_hundreds_is_seen_in_every_row(open_app: OpenApp, little: Workspace) -> None:
    answer = "The value is kept behind a reference and counted: "
    for number in range(120):
        store_session(little, f"ses_more{number}", [user(f"Explain pointer {number}"), says(f"{answer}{number}")])
    examples.refresh(little)
    async with open_app("sessions").run_test(size=(80, 24), notifications=True) as pilot:
        await shown(pilot.app, "1 of 129")
        await pilot.press("B", "enter")
        await shown(pilot.app, "✓   ")
        assert text_of(pilot.app).count(" ✓   ") > 15
        await pilot.press("u")
        await shown(pilot.app, "Took back “accept” of 129 examples.")
        assert " ✓   none" not in text_of(pilot.app)


async def test_the_last_choice_about_all_of_them_can_be_seen(open_app: OpenApp) -> None:
    app = open_app("sessions")
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "1 of 9")
        await pilot.press("B")
        await shown(pilot.app, "accept them all")
        await pilot.press("end")
        await shown(pilot.app, f"they are all {app.config.languages[-1]}")


async def test_a_note_is_shown_as_soon_as_it_is_written(open_app: OpenApp) -> None:
    for size in ((80, 24), (160, 50)):
        async with open_app("sessions").run_test(size=size) as pilot:
            await shown(pilot.app, "1 of 9")
            await pilot.press("n", "ctrl+u", *"look", "enter")
            await shown(pilot.app, "note: look")


async def test_outputs_are_unfolded_while_the_list_keeps_the_keys(open_app: OpenApp, little: Workspace) -> None:
    output = "\n".join(f"line {number}" for number in range(60))
    long = [user("Run the long thing"), *calls("bash", {"command": "cargo test"}, output), says("Done, it ran.")]
    store_session(little, "ses_long", long)
    examples.refresh(little)
    async with open_app("sessions").run_test(size=(160, 50)) as pilot:
        await shown(pilot.app, "1 of 10")
        await pilot.press("slash", *"thing", "enter")
        await shown(pilot.app, "(z unfolds)")
        assert "line 30" not in text_of(pilot.app)
        await pilot.press("z")
        await shown(pilot.app, "line 30")


async def test_only_the_latest_remark_is_in_the_corner(open_app: OpenApp) -> None:
    async with open_app("sessions").run_test(size=(80, 24), notifications=True) as pilot:
        await shown(pilot.app, "1 of 9")
        await pilot.press("D")
        await shown(pilot.app, "no near-duplicate of this")
        await pilot.press("d")
        text = await shown(pilot.app, "not edited")
        assert "no near-duplicate" not in text


async def test_an_editor_that_fails_says_where_the_draft_is(open_app: OpenApp, tmp_path: Path) -> None:
    problem = draft.run_editor("false", tmp_path / "draft.toml")
    assert problem is not None
    assert "draft.toml" in str(problem)
    assert "'false' ended with code 1" in str(problem)


async def test_a_question_about_what_was_withdrawn_is_not_asked(open_app: OpenApp, little: Workspace) -> None:
    queue = queues.create(little, "mine", Filter(decision="unlabelled"), author="someone")
    gone = queues.items(little, queue)[1].example_id
    with little.transaction() as connection:
        connection.execute("UPDATE example SET dropped = 'withdrawn' WHERE id = ?", (gone,))
    assert queues.open(little, "mine", "someone").left == 6
    async with open_app("sessions").run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "1 of 8")
        await pilot.press("Q", "enter")
        text = await shown(pilot.app, "mine  6 left of 7 · 1 withdrawn")
        assert "withdrawn: " in text
        await pilot.press("a")
        await shown(pilot.app, "3 of 7")


async def test_help_says_what_a_row_shows_and_promises_no_key_that_means_something_else(open_app: OpenApp) -> None:
    async with open_app("sessions").run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "1 of 9")
        await pilot.press("question_mark", "end")
        text = await shown(pilot.app, "✓ accepted   ✗ rejected   · skipped   ! flagged   e edited")
        assert "f3  " in text
        assert "f3  2" not in text  # on this screen 2 is a language


async def test_a_second_opinion_stays_blind(open_app: OpenApp, little: Workspace) -> None:
    labels.decide(little, examples.ids(little), "accept", author="the first")
    queues.create_overlap(little, "second", "the first", author="someone")
    async with open_app("sessions").run_test(size=(80, 24), notifications=True) as pilot:
        await shown(pilot.app, "✓   rust")
        await pilot.press("Q", "enter")
        await shown(pilot.app, "second  7 left of 7")
        for key in ("slash", "l", "L", "F", "o", "c", "s", "D"):
            await pilot.press(key)
            await pilot.pause()
        text = await shown(pilot.app, "A second opinion stays blind")
        assert "second  7 left of 7" in text
        assert "✓" not in text


async def test_what_was_searched_for_is_marked_in_the_conversation(open_app: OpenApp) -> None:
    async with open_app("sessions").run_test(size=(160, 50)) as pilot:
        await shown(pilot.app, "1 of 9")
        await pilot.press("slash", *"backoff", "enter")
        await shown(pilot.app, "Retry for the fetcher")
        reader = pilot.app.screen.query_one(Reader)
        await until(lambda: ("backoff", "found") in [piece for line in reader._lines for piece in line])
        await pilot.press("escape")
        await until(lambda: "found" not in [tone for line in reader._lines for _, tone in line])


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
async def test_a_proposed_question_says_why_it_is_asked(
    open_app: OpenApp, little: Workspace, size: tuple[int, int]
) -> None:
    first, second = examples.ids(little, Filter(decision="unlabelled"))[:2]
    queues.create_proposed(little, "lessons", {first: "mentions tokio", second: "mentions serde"}, author="someone")
    async with open_app("sessions").run_test(size=size) as pilot:
        await shown(pilot.app, "1 of 9")
        await pilot.press("Q", "enter")
        await shown(pilot.app, "lessons  2 left of 2")
        await shown(pilot.app, "proposed: mentions tokio")
        await pilot.press("x")
        await shown(pilot.app, "proposed: mentions serde")
        await pilot.press("Q", "end", "enter")
        await shown(pilot.app, " of 9")
        await until(lambda: "proposed" not in text_of(pilot.app))
