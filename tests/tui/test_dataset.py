"""Dataset: what is accepted, and building from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from screen_text import shown, until

import run_stories
from lora_tui.curation import examples, labels
from lora_tui.dataset import versions
from lora_tui.tui.app import LoraTuiApp
from lora_tui.tui.screens.dataset import supply
from lora_tui.workspace.layout import Workspace
from run_stories import NOW
from stories import calls, says, store_session, user


def dataset(workspace: Workspace) -> LoraTuiApp:
    return LoraTuiApp(workspace, "dataset", clock=lambda: NOW)


@pytest.fixture
def labelled(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Thirty Rust and twelve Python examples; 21 and 4 of them accepted, 3 Rust ones rejected. No shipped profiles."""
    monkeypatch.setattr(
        supply, "profile_paths", lambda found: {path.stem: path for path in sorted(found.profiles.glob("*.toml"))}
    )
    run_stories.write_profile(workspace)
    for language, ending, number in (("rust", "rs", 30), ("python", "py", 12)):
        for index in range(number):
            written = calls("write", {"filePath": f"src/part{index}.{ending}", "content": "x"}, "ok")
            talk = [user(f"Write {language} part {index}"), *written, says(f"```{language}\nx\n```")]
            store_session(workspace, f"ses_{language}_{index}", talk)
    examples.refresh(workspace)
    rust = list(examples.ids(workspace, examples.Filter(languages=("rust",))))
    python = list(examples.ids(workspace, examples.Filter(languages=("python",))))
    assert (len(rust), len(python)) == (30, 12)
    labels.decide(workspace, [*rust[:21], *python[:4]], "accept", author="me")
    labels.decide(workspace, rust[21:24], "reject", author="me")
    return workspace


async def test_each_language_is_counted_against_the_profile(labelled: Workspace) -> None:
    async with dataset(labelled).run_test(size=(80, 24)) as pilot:
        text = await shown(pilot.app, "profile tiny", "40 wanted", "52 %")
        rust = next(line for line in text.splitlines() if line.strip().startswith("rust "))
        assert rust.split()[:6] == ["rust", "30", "6", "·", "3", "21"]


async def test_b_builds_the_next_version_under_a_sensible_name(labelled: Workspace) -> None:
    async with dataset(labelled).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "52 %")
        await pilot.press("b")
        await shown(pilot.app, "21 accepted examples of rust")
        await pilot.press("enter")
        await shown(pilot.app, "rust@1")
        built = versions.find(labelled, "rust@1")
        assert sum(built.manifest.rows.values()) == 21
        assert built.manifest.profile == "tiny"


async def test_a_name_that_cannot_be_used_is_a_dialog_and_b_works_again(labelled: Workspace) -> None:
    async with dataset(labelled).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "52 %")
        await pilot.press("b")
        await shown(pilot.app, "Build a dataset")
        await pilot.press("end", "space", "X", "enter")
        await shown(pilot.app, "This did not work", "cannot name a dataset")
        await pilot.press("escape")
        await until(lambda: not pilot.app.screen.is_modal)
        await pilot.press("b")
        await shown(pilot.app, "Build a dataset")


async def test_p_counts_against_the_next_profile(labelled: Workspace) -> None:
    import msgspec

    other = msgspec.structs.replace(run_stories.PROFILE, name="zz-python", data=run_stories.Data(("python",), 8))
    run_stories.write_profile(labelled, other)
    async with dataset(labelled).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "found")
        await pilot.press("p")
        await shown(pilot.app, "profile zz-python", "8 wanted", "50 %")


async def test_a_version_is_read_at_a_glance(labelled: Workspace) -> None:
    run_stories.write_dataset(labelled)
    async with dataset(labelled).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "rust@1", "31 train")
        await pilot.press("tab")
        text = await shown(pilot.app, "opencode", "6 label: reject", "lab/model")
        assert next(line for line in text.splitlines() if "opencode" in line).split()[-4:] == ["31", "4", "4", "39"]
        await pilot.press("escape")
        await shown(pilot.app, "versions")


@pytest.mark.parametrize("later", [False, True])
async def test_a_suite_that_asks_something_new_is_told_of_with_the_version(labelled: Workspace, later: bool) -> None:
    run_stories.write_dataset(labelled)
    if later:
        run_stories.write_suite(labelled, ("Write a parser for dates",), name="dates")
    async with dataset(labelled).run_test(size=(160, 50)) as pilot:
        text = await shown(pilot.app, "rust@1", "lab/model", "suites")
        assert ("dates changed since it was built" in text) == later


async def test_x_writes_a_version_for_other_tools(labelled: Workspace, tmp_path: Path) -> None:
    async with dataset(labelled).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "52 %")
        await pilot.press("b")
        await shown(pilot.app, "21 accepted examples of rust")
        await pilot.press("enter")
        await shown(pilot.app, "rust@1")
        await pilot.press("x")
        await shown(pilot.app, "sharegpt", "LLaMA-Factory")
        await pilot.press("down", "enter")
        await shown(pilot.app, "rust@1 as sharegpt")
        await pilot.press("ctrl+u", *str(tmp_path / "out"), "enter")
        await shown(pilot.app, "rust@1 as sharegpt: 21 rows in")
        first = (tmp_path / "out" / "train.jsonl").read_text().splitlines()[0]
        assert '"from":"human"' in first


async def test_d_says_what_changed_since_another_version(labelled: Workspace) -> None:
    run_stories.write_dataset(labelled)
    run_stories.write_dataset(labelled, version=2, rows=43)
    async with dataset(labelled).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "rust@2", "52 %")
        await pilot.press("d")
        await shown(pilot.app, "rust@2 and")
        await pilot.press("enter")
        await shown(pilot.app, "rust@1 → rust@2", "12 added", "31 →        43")


async def test_i_counts_what_the_rows_hold_and_what_of_the_suite_they_cover(labelled: Workspace) -> None:
    run_stories.write_suite(labelled, ("a function that adds two numbers", "parse a date"))
    run_stories.write_dataset(labelled)
    async with dataset(labelled).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "rust@1", "52 %")
        await pilot.press("i")
        text = await shown(pilot.app, "user turns", "what the suite five asks", "parse a date", "adds two numbers")
        assert text.index("parse a date") < text.index("a function that adds two")  # the least covered first


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
@pytest.mark.usefixtures("utc")
def test_looks(labelled: Workspace, size: tuple[int, int], snap_compare: Any) -> None:
    run_stories.write_dataset(labelled)
    run_stories.write_dataset(labelled, version=2, rows=43)

    async def ready(pilot: Any) -> None:
        await shown(pilot.app, "rust@2", "52 %", *(["lab/model"] if size[0] > 100 else []))

    assert snap_compare(dataset(labelled), terminal_size=size, run_before=ready)


async def _built(pilot: Any, name: str = "") -> None:
    await shown(pilot.app, "52 %")
    await pilot.press("b")
    await shown(pilot.app, "21 accepted examples of rust")
    await pilot.press(*(["ctrl+u", *name] if name else []), "enter")


async def test_the_split_is_said_behind_the_name(labelled: Workspace) -> None:
    async with dataset(labelled).run_test(size=(80, 24)) as pilot:
        await _built(pilot, "half 50/50/0")
        await shown(pilot.app, "half@1")
        built = versions.find(labelled, "half@1")
        assert built.manifest.split == (50, 50, 0)
        assert built.manifest.rows["test"] == 0


async def test_a_split_that_does_not_add_up_is_a_dialog(labelled: Workspace) -> None:
    async with dataset(labelled).run_test(size=(80, 24)) as pilot:
        await _built(pilot, "half 50/50/50")
        await shown(pilot.app, "does not add up to 100", "as in 80/10/10")
        await pilot.press("escape")
        await until(lambda: not pilot.app.screen.is_modal)
        assert not list(versions.versions(labelled))


async def test_a_file_of_conversations_becomes_a_version(labelled: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "Old chats.jsonl"
    said = '{"messages":[{"role":"user","content":"Add %d"},{"role":"assistant","content":"Added %d."}]}\n'
    file.write_text("".join(said % (number, number) for number in range(4)) + '{"nothing":1}\n')
    async with dataset(labelled).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "52 %")
        await pilot.press("I")
        await shown(pilot.app, "A file of conversations")
        await pilot.press(*str(file), "enter")
        await shown(pilot.app, "Old chats.jsonl becomes", "old-chats")
        await pilot.press("enter")
        await shown(pilot.app, "old-chats@1: 4 train, 0 validation, 0 test; 1 line left out")
        await pilot.press("l")
        await shown(pilot.app, "Left out of old-chats@1", "Old chats.jsonl:5")


async def test_a_file_that_is_not_there_is_a_dialog(labelled: Workspace) -> None:
    async with dataset(labelled).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "52 %")
        await pilot.press("I")
        await shown(pilot.app, "A file of conversations")
        await pilot.press(*"/no/such", "enter")
        await shown(pilot.app, "This did not work", "no such file or folder", "/no/such")


async def test_an_import_that_is_stopped_leaves_nothing_and_the_next_one_works(
    labelled: Workspace, tmp_path: Path
) -> None:
    file = tmp_path / "many.jsonl"
    said = '{"messages":[{"role":"user","content":"Ask %d"},{"role":"assistant","content":"Answer %d %s"}]}\n'
    with file.open("w") as lines:
        lines.writelines(said % (number, number, "word " * 100) for number in range(60_000))
    async with dataset(labelled).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "52 %")
        await pilot.press("I")
        await shown(pilot.app, "A file of conversations")
        await pilot.press(*str(file), "enter")
        await shown(pilot.app, "many.jsonl becomes")
        await pilot.press("enter")
        await shown(pilot.app, "(S stops it)")
        await pilot.press("S")
        await shown(pilot.app, "importing many.jsonl was stopped; nothing of it was kept")
        assert not list(versions.versions(labelled))
        assert not list(labelled.datasets.rglob("*.jsonl"))
        await _built(pilot)
        await shown(pilot.app, "rust@1")


async def test_files_that_are_there_are_replaced_only_after_a_yes(labelled: Workspace, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "train.jsonl").write_text("mine\n")
    async with dataset(labelled).run_test(size=(80, 24)) as pilot:
        await _built(pilot)
        await shown(pilot.app, "rust@1")

        async def exported() -> None:
            await pilot.press("x")
            await shown(pilot.app, "Export as")
            await pilot.press("enter")
            await shown(pilot.app, "rust@1 as messages")
            await pilot.press("ctrl+u", *str(out), "enter")
            await shown(pilot.app, "train.jsonl", "Replace them?")

        await exported()
        await pilot.press("escape")
        assert (out / "train.jsonl").read_text() == "mine\n"
        await exported()
        await pilot.press("enter")
        await shown(pilot.app, "rust@1 as messages: 21 rows in")
        assert (out / "train.jsonl").read_text() != "mine\n"


async def test_what_a_version_left_out_is_listed_with_its_reasons(labelled: Workspace) -> None:
    async with dataset(labelled).run_test(size=(80, 24)) as pilot:
        await _built(pilot)
        await shown(pilot.app, "rust@1")
        await pilot.press("l")
        found = list(versions.rejected(versions.find(labelled, "rust@1")))
        assert found
        await shown(pilot.app, "Left out of rust@1", found[0].reason)


async def test_v_says_whether_a_version_is_what_was_built(labelled: Workspace) -> None:
    async with dataset(labelled).run_test(size=(80, 24)) as pilot:
        await _built(pilot)
        await shown(pilot.app, "rust@1")
        await pilot.press("v")
        await shown(pilot.app, "✓ rust@1 is what was built")
        await pilot.press("escape")
        await until(lambda: not pilot.app.screen.is_modal)
        with (versions.find(labelled, "rust@1").folder / "train.jsonl").open("ab") as file:
            file.write(b"{}\n")
        await pilot.press("v")
        await shown(pilot.app, "✗ rust@1 is not what was built", "train.jsonl")


async def test_after_the_statistics_tab_shows_the_version_again(labelled: Workspace) -> None:
    run_stories.write_dataset(labelled)
    async with dataset(labelled).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "rust@1", "52 %")
        await pilot.press("i")
        await shown(pilot.app, "rust@1  statistics", "opencode", "user turns")
        await pilot.press("escape", "tab")
        await shown(pilot.app, "built ", "6 label: reject")


def test_large_numbers_of_rows_are_not_cut(labelled: Workspace) -> None:
    import msgspec

    from lora_tui.tui.screens.dataset.version_rows import VersionRows

    made = run_stories.write_dataset(labelled)
    rows = {"train": 800_000, "validation": 100_000, "test": 100_000}
    source = VersionRows(
        [msgspec.structs.replace(made, manifest=msgspec.structs.replace(made.manifest, rows=rows))], NOW
    )
    sizes = [column.width for column in source.columns(80)]
    assert [cell.text for cell in source.cells(0)][1:4] == ["800,000 train", "100,000 validation", "100,000 test"]
    assert all(len(cell.text) <= size for cell, size in zip(source.cells(0)[1:4], sizes[1:4], strict=True))


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
@pytest.mark.usefixtures("utc")
def test_statistics_look(labelled: Workspace, size: tuple[int, int], snap_compare: Any) -> None:
    run_stories.write_suite(labelled, ("a function that adds two numbers", "parse a date"))
    run_stories.write_base(labelled)
    run_stories.write_audit(labelled, run_stories.write_dataset(labelled))

    async def ready(pilot: Any) -> None:
        await shown(pilot.app, "rust@1", "52 %")
        await pilot.press("i")
        await shown(pilot.app, "rust@1  statistics", "user turns")

    assert snap_compare(dataset(labelled), terminal_size=size, run_before=ready)
