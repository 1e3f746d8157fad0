"""Adapters: what there is, what is known of it, what keys do with it."""

from __future__ import annotations

from typing import Any

import pytest
from screen_text import shown, until
from textual.widgets import Input

import adapter_folders
import adapter_shelf
from adapter_shelf import BASE, NOW, SHAPES
from lora_tui.adapters import aliases, registry
from lora_tui.adapters.serving import status
from lora_tui.adapters.serving.status import Figures, Status
from lora_tui.adapters.wiring import places
from lora_tui.tui.app import LoraTuiApp
from lora_tui.workspace.layout import Workspace

WIDE, SMALL = (160, 50), (80, 24)


@pytest.fixture
def shelf(workspace: Workspace, utc: None) -> Workspace:
    """Six versions of four names."""
    adapter_shelf.fill(workspace)
    return workspace


def app(workspace: Workspace) -> LoraTuiApp:
    return LoraTuiApp(workspace, "adapters", clock=lambda: NOW)


def row(text: str, label: str) -> str:
    return next(line for line in text.splitlines() if label in line)


async def test_a_row_says_what_points_to_a_version_and_how_it_was_made(shelf: Workspace) -> None:
    async with app(shelf).run_test(size=SMALL) as pilot:
        text = await shown(pilot.app, "6 versions", "coder@1.2.0", "rust@1.0.0")
        production = row(text, "coder@1.1.0").split()
        assert production[1:5] == ["production", "coder@2", "0.812", "0.934"]
        assert "+0.14" in production
        assert "ties of 3" in row(text, "five@1.0.0")
        assert "candidate" in row(text, "coder@1.2.0")


async def test_enter_reads_a_version_and_escape_goes_back(shelf: Workspace) -> None:
    async with app(shelf).run_test(size=SMALL) as pilot:
        await shown(pilot.app, "coder@1.2.0")
        await pilot.press("j", "j", "j", "enter")
        text = await shown(pilot.app, "production is coder@1.1.0, it was coder@1.0.0", "18 of 20 against 9")
        assert "not verified yet" in text
        assert "led to       coder@1.2.0, five@1.0.0" in text
        await pilot.press("escape")
        await shown(pilot.app, "6 versions")


async def test_a_merge_says_what_it_is_of_and_what_was_lost(shelf: Workspace) -> None:
    async with app(shelf).run_test(size=WIDE) as pilot:
        await shown(pilot.app, "coder@1.2.0")
        await pilot.press("j")
        await shown(pilot.app, "0.5 × coder@1.1.0 + 0.3 × rust@1.0.0", "ties (density 0.5, space core)", "3.70%")


async def test_a_flipped_byte_is_found_when_it_is_asked_for(shelf: Workspace) -> None:
    adapter_shelf.damage(registry.find(shelf, "coder@1.2.0"))
    async with app(shelf).run_test(size=SMALL) as pilot:
        await shown(pilot.app, "coder@1.2.0")
        await pilot.press("v")
        text = await shown(pilot.app, "adapter_model.safetensors: its content changed")
        assert "✗" in row(text, "coder@1.2.0 ")
        await pilot.press("j", "v")
        await shown(pilot.app, "✓ five@1.0.0 is what was registered")


async def test_marked_versions_say_what_they_take_together(shelf: Workspace) -> None:
    async with app(shelf).run_test(size=WIDE) as pilot:
        await shown(pilot.app, "coder@1.2.0")
        await pilot.press("space", "space")
        text = await shown(pilot.app, "2 marked", "--max-lora-rank 16 --max-loras 3")
        assert "●" in row(text, "five@1.0.0 ")


async def test_two_marked_versions_are_compared(shelf: Workspace) -> None:
    async with app(shelf).run_test(size=SMALL) as pilot:
        await shown(pilot.app, "coder@1.2.0")
        await pilot.press("d")
        await shown(pilot.app, "Two versions are compared")
        await pilot.press("escape", "space", "j", "j", "space", "d")
        await shown(pilot.app, "coder@1.1.0 and coder@1.2.0", "cosine", "q_proj")


async def test_an_alias_is_pointed_with_a_reason_and_taken_away(shelf: Workspace) -> None:
    async with app(shelf).run_test(size=SMALL) as pilot:
        await shown(pilot.app, "coder@1.2.0")
        await pilot.press("j", "a")
        await shown(pilot.app, "What points to five@1.0.0")
        await pilot.press("enter")
        await shown(pilot.app, "candidate will be five@1.0.0")
        await pilot.press(*"try", "enter")
        await shown(pilot.app, "candidate is five@1.0.0.")
        (moved,) = aliases.history(shelf, "five")
        assert (moved.version, moved.why) == ("five@1.0.0", "try")
        await pilot.press("a")
        await shown(pilot.app, "candidate no longer")
        await pilot.press("end", "enter")
        await shown(pilot.app, "candidate points to nothing now")
        assert aliases.aliases(shelf).get("five") is None


async def test_removing_asks_and_says_what_points_there(shelf: Workspace) -> None:
    async with app(shelf).run_test(size=SMALL) as pilot:
        await shown(pilot.app, "coder@1.2.0")
        await pilot.press("x")
        await shown(pilot.app, "candidate points to it and will be dropped")
        await pilot.press("escape")
        await until(lambda: not pilot.app.screen.is_modal)
        await pilot.press("x")
        await shown(pilot.app, "Remove coder@1.2.0?")
        await pilot.press("enter")
        await shown(pilot.app, "Why?")
        await pilot.press("enter")
        text = await shown(pilot.app, "coder@1.2.0 is removed", "five@1.0.0")
        assert sum("coder@" in line for line in text.splitlines()[2:]) == 2
        assert aliases.target(shelf, "coder", "candidate") == ""


async def test_a_folder_is_taken_in_under_a_name(shelf: Workspace, tmp_path: Any) -> None:
    folder = adapter_folders.write_adapter(tmp_path / "theirs", adapter_folders.factors(SHAPES, 8), r=8)
    async with app(shelf).run_test(size=SMALL) as pilot:
        await shown(pilot.app, "coder@1.2.0")
        await pilot.press("i")
        await shown(pilot.app, "It is copied")
        pilot.app.screen.query_one(Input).value = str(folder)
        await pilot.press("enter")
        await shown(pilot.app, "Its name here")
        await pilot.press(*"guest", "enter")
        await shown(pilot.app, "guest@1.0.0 is taken in")
        assert registry.find(shelf, "guest").metadata.base == "lab/base"


async def test_words_narrow_the_list(shelf: Workspace) -> None:
    async with app(shelf).run_test(size=SMALL) as pilot:
        await shown(pilot.app, "coder@1.2.0")
        await pilot.press("slash", *"standby", "enter")
        text = await shown(pilot.app, "1 of 6 versions")
        assert "coder@1.0.0" in text
        assert "rust@1.0.0" not in text
        await pilot.press("escape")
        await shown(pilot.app, "6 versions", "rust@1.0.0")


async def test_verify_opens_with_the_version(shelf: Workspace) -> None:
    async with app(shelf).run_test(size=WIDE) as pilot:
        await shown(pilot.app, "coder@1.2.0")
        await pilot.press("j", "j", "j", "V")
        await shown(pilot.app, "fine-tune coder@1.1.0")


async def test_a_version_whose_metadata_is_gone_is_listed_and_nothing_is_done_with_it(shelf: Workspace) -> None:
    folder = registry.find(shelf, "rust@1.0.0").folder
    folder.chmod(0o755)
    (folder / "metadata.toml").unlink()
    async with app(shelf).run_test(size=SMALL) as pilot:
        text = await shown(pilot.app, "unreadable")
        assert "rust@1.0.0" in row(text, "unreadable")
        await pilot.press("G", "V")
        await shown(pilot.app, "Metadata.toml cannot be read")
        await pilot.press("escape", "v")
        await shown(pilot.app, "metadata.toml: it is missing")


async def test_of_a_long_name_the_version_is_still_told(shelf: Workspace) -> None:
    adapter_shelf.add(shelf, "a-name-that-says-far-more-than-fits", "1.0.0", created=NOW)
    async with app(shelf).run_test(size=SMALL) as pilot:
        await shown(pilot.app, "a-name-that-say…@1.0.0")
        await pilot.press("enter")
        await shown(pilot.app, "a-name-that-says-far-more-than-fits@1.0.0")


async def test_an_empty_registry_says_how_to_begin(workspace: Workspace) -> None:
    async with app(workspace).run_test(size=SMALL) as pilot:
        await shown(pilot.app, "No adapter yet. Train one under F4, or import a folder with i.")
        await pilot.press("space")
        await shown(pilot.app, "There is no version here")


async def _form(pilot: Any) -> None:
    """The merge form of coder@1.1.0 and rust@1.0.0."""
    await shown(pilot.app, "coder@1.2.0")
    await pilot.press("j", "j", "j", "space", "G", "space", "m")
    await shown(pilot.app, "‹ average ›", "norm kept", "side by side")


async def test_a_merge_is_planned_while_its_form_is_filled_in(shelf: Workspace) -> None:
    async with app(shelf).run_test(size=SMALL) as pilot:
        await _form(pilot)
        text = await shown(pilot.app, "coder@1.1.0 and rust@1.0.0", "cosine of ΔW", "r 16 loses nothing")
        assert "density" not in text
        await pilot.press("left", "left", "left")
        await shown(pilot.app, "‹ ties ›", "density", "chooses among entries")
        await pilot.press("tab", *"nonsense")
        await shown(pilot.app, "coder@1.1.0: nonsense is no number")
        assert not list(shelf.runs.glob("*"))


async def test_two_that_cannot_be_merged_say_why(shelf: Workspace) -> None:
    adapter_shelf.add(shelf, "other", "1.0.0", base="lab/other", created=NOW)
    async with app(shelf).run_test(size=SMALL) as pilot:
        await shown(pilot.app, "other@1.0.0")
        await pilot.press("space", "space", "m")
        await shown(pilot.app, "made for different bases")


async def test_a_merge_is_started_followed_and_becomes_a_version_that_nothing_points_to(shelf: Workspace) -> None:
    async with app(shelf).run_test(size=SMALL) as pilot:
        await _form(pilot)
        await pilot.press("right", "tab", *"0.7", "tab", *"0.3")
        await shown(pilot.app, "norm kept", "ctrl+s merges")
        await pilot.press("ctrl+s")
        await shown(pilot.app, "✓ coder-rust@1.0.0", "weighted of 2", seconds=40)
    made = registry.find(shelf, "coder-rust")
    assert made.metadata.parents == ("coder@1.1.0", "rust@1.0.0")
    assert [source.weight for source in made.metadata.sources] == pytest.approx([0.7, 0.3])
    assert aliases.aliases(shelf).get("coder-rust") is None


@pytest.mark.parametrize("size", [SMALL, WIDE])
def test_the_merge_form_looks(shelf: Workspace, size: tuple[int, int], snap_compare: Any) -> None:
    async def ready(pilot: Any) -> None:
        await _form(pilot)
        await pilot.press("left", "left", "left")
        await shown(pilot.app, "‹ ties ›", "chooses among entries", "ctrl+s merges")

    assert snap_compare(app(shelf), terminal_size=size, run_before=ready)


async def test_a_version_is_promoted_with_a_reason_and_rolled_back(shelf: Workspace) -> None:
    (shelf.profiles / "coder.toml").write_text(f'name = "coder"\nmodel = {{base = "{BASE}"}}\n')  # asks for no gates
    async with app(shelf).run_test(size=SMALL) as pilot:
        await shown(pilot.app, "coder@1.2.0")
        await pilot.press("p")
        await shown(pilot.app, "coder@1.2.0 becomes what coder means. It is coder@1.1.0 now.")
        await pilot.press(*"better", "enter")
        await shown(pilot.app, "coder is coder@1.2.0", "done", seconds=40)
        await pilot.press("escape")
        await until(lambda: not pilot.app.screen.is_modal)
        assert aliases.target(shelf, "coder", "production") == "1.2.0"
        assert aliases.history(shelf, "coder")[0].why == "better"
        await pilot.press("R")
        await shown(pilot.app, "coder means the version before this one again")
        await pilot.press("enter")
        await shown(pilot.app, "coder is coder@1.1.0 again", seconds=40)
    assert aliases.target(shelf, "coder", "production") == "1.1.0"


SERVED = Status(
    name="coder-7b",
    base=BASE,
    engine="llama-cpp",
    state="ready",
    url="http://127.0.0.1:8484/v1",
    route=True,
    rss=6_200_000_000,
    running=2,
    requests=182,
    tokens_per_second=41.0,
    versions=(
        Figures("Qwen2.5-Coder-7B-Instruct", True, requests=12, first_mean=0.21, whole_mean=2.4),
        Figures("coder@1.1.0", True, names=("coder",), requests=170, running=2, first_mean=0.19, whole_mean=3.1),
        Figures("coder@1.2.0", True, trial=10.0, errors=3),
    ),
)


async def test_what_is_served_stands_under_the_list_and_s_shows_each_version(
    shelf: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status, "statuses", lambda workspace: [SERVED])
    async with app(shelf).run_test(size=SMALL) as pilot:
        text = await shown(pilot.app, "coder-7b ready", "41 tok/s  2 now  182 requests  6.2 GB", "llama-cpp")
        assert "170" not in text
        await pilot.press("s")
        text = await shown(pilot.app, "trial, 10 %", "190 ms", "3.1 s")
        assert row(text, " 170 ").split()[-1] == "coder"
        await pilot.press("S")
        await shown(pilot.app, "stop coder-7b", "llama.cpp: any machine")


async def test_an_export_that_cannot_be_is_refused_and_vllms_command_is_shown(shelf: Workspace) -> None:
    async with app(shelf).run_test(size=SMALL) as pilot:
        await shown(pilot.app, "coder@1.2.0")
        await pilot.press("e")
        await shown(pilot.app, "Export coder@1.2.0 as")
        await pilot.press("enter")
        await shown(pilot.app, "Its base")
        await pilot.press("enter")
        await shown(pilot.app, "A new folder.")
        await pilot.press("enter")
        await shown(pilot.app, "This did not work")
        await pilot.press("escape")
        await until(lambda: not pilot.app.screen.is_modal)
        assert not list(shelf.runs.glob("*"))
        await pilot.press("e")
        await shown(pilot.app, "vLLM's command")
        await pilot.press("end", "enter")
        await shown(pilot.app, "--max-lora-rank", "coder@1.2.0=")


async def test_opencodes_settings_are_shown_as_a_difference_before_they_are_written(shelf: Workspace) -> None:
    async with app(shelf).run_test(size=SMALL) as pilot:
        await shown(pilot.app, "coder@1.2.0")
        await pilot.press("o")
        await shown(pilot.app, "Into opencode's settings", "note: Nothing is served now")
        settings = places.global_folder() / "opencode.jsonc"
        assert not settings.exists()
        await pilot.press("enter")
        await shown(pilot.app, "takes it back")
        assert '"coder"' in settings.read_text()


@pytest.mark.parametrize("size", [SMALL, WIDE])
def test_what_is_served_looks(
    shelf: Workspace, size: tuple[int, int], snap_compare: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status, "statuses", lambda workspace: [SERVED])

    async def ready(pilot: Any) -> None:
        await shown(pilot.app, "coder-7b ready", "6 versions")
        if size == SMALL:
            await pilot.press("s")
        await shown(pilot.app, "trial, 10 %")

    assert snap_compare(app(shelf), terminal_size=size, run_before=ready)


@pytest.mark.parametrize("size", [SMALL, WIDE])
def test_looks(shelf: Workspace, size: tuple[int, int], snap_compare: Any) -> None:
    async def ready(pilot: Any) -> None:
        await shown(pilot.app, "6 versions", "coder@1.2.0")
        await pilot.press("j", "j", "j", "space", "k")
        await shown(pilot.app, "1 marked")
        if size == WIDE:
            await shown(pilot.app, "1 marked", "production is coder@1.1.0")

    assert snap_compare(app(shelf), terminal_size=size, run_before=ready)
