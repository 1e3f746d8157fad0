"""Which code becomes an answer, and where it goes: the edit puts back exactly what was taken out."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from code_projects import SWIFT, WORDS, ruby_project
from lora_tui.curation.augment.candidate import Candidate, Placed
from lora_tui.curation.augment.candidates import candidates, missing_names, placed
from lora_tui.curation.augment.folders import CodeFile, Folder, code_files, folders
from lora_tui.curation.augment.placing import NoPlace
from lora_tui.curation.augment.project import Project
from lora_tui.curation.augment.table import table
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace
from stories import store_session, user


def found_in(workspace: Workspace, root: Path, *kinds: str) -> tuple[dict[str, Candidate], list[str]]:
    """The candidates of a Ruby project by name, and the reasons of the rest."""
    (folder,) = folders(workspace, [root])
    found = list(candidates(Project(code_files(folder, "ruby"), "ruby"), kinds or ("implement", "test")))  # type: ignore[arg-type]
    return {one.name: one for one in found if isinstance(one, Candidate)}, [
        one for one in found if isinstance(one, str)
    ]


def test_methods_of_a_useful_length_are_taken_and_the_rest_has_a_reason(workspace: Workspace, tmp_path: Path) -> None:
    found, reasons = found_in(workspace, ruby_project(tmp_path / "shop"))
    assert set(found) == {
        "total",
        "grouped",
        "discounted",
        "readable",
        "count_words",
        "test_total_takes_the_discount_off",
    }
    assert {
        "too short",
        "holds secrets or personal data",
        "its file does not parse",
        "overlaps with another one",
    } <= set(reasons)


def test_vendored_and_generated_code_is_not_even_read(workspace: Workspace, tmp_path: Path) -> None:
    (folder,) = folders(workspace, [ruby_project(tmp_path / "shop")])
    paths = {file.path for file in code_files(folder, "ruby")}
    assert "lib/words.rb" in paths
    assert not {path for path in paths if "vendor" in path or "made" in path}


def test_links_out_of_the_project_are_not_followed(workspace: Workspace, tmp_path: Path) -> None:
    root = ruby_project(tmp_path / "shop")
    (tmp_path / "private.rb").write_text((root / "lib/words.rb").read_text())
    (root / "lib/link.rb").symlink_to(tmp_path / "private.rb")
    (folder,) = folders(workspace, [root])
    assert "lib/link.rb" not in {file.path for file in code_files(folder, "ruby")}


def test_without_named_folders_those_of_the_sessions_are_read(workspace: Workspace, tmp_path: Path) -> None:
    root = ruby_project(tmp_path / "shop")
    store_session(workspace, "ses_1", [user("sum it up please")])
    assert folders(workspace, []) == []  # its folder is not on this disk
    with workspace.transaction() as connection:
        connection.execute("UPDATE session SET directory = ?", (str(root),))
    assert [folder.root for folder in folders(workspace, [])] == [root]


def test_the_licence_of_the_project_is_noted(workspace: Workspace, tmp_path: Path) -> None:
    found, _ = found_in(workspace, ruby_project(tmp_path / "shop"))
    assert {one.licence for one in found.values()} == {"MIT"}


def test_a_test_is_shown_with_the_code_it_tests(workspace: Workspace, tmp_path: Path) -> None:
    found, _ = found_in(workspace, ruby_project(tmp_path / "shop"), "test")
    test = found["test_total_takes_the_discount_off"]
    assert set(found) == {test.name}
    assert test.kind == "test"
    shown = {one.path: one.text for one in test.placed.shown}
    assert "def total(discount = 0)" in shown["lib/shop/basket.rb"]
    assert "test_total" not in shown["test/basket_test.rb"]


def test_tests_without_the_code_they_test_are_left_out(workspace: Workspace, tmp_path: Path) -> None:
    root = ruby_project(tmp_path / "shop")
    (root / "lib/shop/basket.rb").unlink()
    found, reasons = found_in(workspace, root, "test")
    assert not found
    assert "the code under test was not found" in reasons


def test_a_function_that_has_its_file_to_itself_is_written_with_the_file(workspace: Workspace, tmp_path: Path) -> None:
    root = ruby_project(tmp_path / "shop")
    (root / "lib/more.rb").write_text("def small\n  1\nend\n\n" + WORDS.replace("count_words", "beside"))
    found, _ = found_in(workspace, root)
    words = found["count_words"].placed
    assert words.shown == ()
    assert (words.written[0].old, words.written[0].new) == ("", WORDS)
    assert_put_back(found["beside"].placed, (root / "lib/more.rb").read_text())


def test_a_method_goes_into_its_class_and_is_not_shown_before(workspace: Workspace, tmp_path: Path) -> None:
    root = ruby_project(tmp_path / "shop")
    found, _ = found_in(workspace, root)
    for name in ("total", "grouped", "discounted", "readable"):
        where = found[name].placed
        assert f"def {name}" not in where.context
        assert_put_back(where, (root / "lib/shop/basket.rb").read_text())


def test_names_that_nothing_brings_are_counted(workspace: Workspace, tmp_path: Path) -> None:
    found, _ = found_in(workspace, ruby_project(tmp_path / "shop"))
    assert missing_names(found["total"], "") == set()
    assert missing_names(found["discounted"], "Use exchange_table.") == {
        "convert_to_cents",
        "count_points",
        "ledger_of_today",
        "rules_of_the_house",
        "write_to_ledger",
    }


def test_what_a_method_needs_is_shown_from_wherever_it_is_defined() -> None:
    rate = "def rate(country)\n  country == :de ? 19 : 20\nend\n"
    filler = "".join(f"  def filler_{n}\n    {n} + {n} * {n} # {'x' * 60}\n  end\n\n" for n in range(120))
    tax_method = "  def tax(sum)\n    round_up(sum * rate(:de))\n  end\n"
    user = f"class Bill\n  def round_up(x)\n    x.ceil\n  end\n\n{filler}{tax_method}end\n"
    project = project_of({"lib/rate.rb": rate, "lib/bill.rb": user})
    tax = next(one for one in project.definitions["lib/bill.rb"] if one.name == "tax")
    where = placed(project, "lib/bill.rb", tax, {"rate", "round_up"}, ())
    assert "def rate(country)" in where.context
    assert "def round_up(x)" in where.context
    assert "class Bill" in where.context
    assert len(where.context) < 4_000


def test_the_neighbours_of_a_method_are_shown_whole() -> None:
    filler = "".join(f"  def filler_{n}\n    {n} * {n} # {'x' * 60}\n  end\n\n" for n in range(200))
    method = "  # Says {0}.\n  def {0}(a)\n    b = a\n    c = b\n    c + 1\n  end\n\n"
    text = (
        f"class A\n{filler}" + method.format("one") + method.format("two") + method.format("three") + filler + "end\n"
    )
    project = project_of({"a.rb": text})
    two = next(one for one in project.definitions["a.rb"] if one.name == "two")
    where = placed(project, "a.rb", two, (), ())
    head, around = where.shown
    assert head.text == "class A\n"
    assert around.text == (method.format("one") + method.format("three")).rstrip("\n") + "\n"
    assert_put_back(where, text)


def test_swift_methods_are_taken(tmp_path: Path) -> None:
    project = project_of({"Sources/Price.swift": SWIFT}, "swift")
    (found,) = [one for one in candidates(project, ["implement"]) if isinstance(one, Candidate)]
    assert found.name == "readable"
    assert_put_back(found.placed, SWIFT)


def test_a_folder_that_is_not_there_is_one_clear_error(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such folder"):
        folders(workspace, [tmp_path / "nowhere"])


@pytest.mark.parametrize("path", table().tests.path_yes)
def test_test_files_are_told_by_their_path(path: str) -> None:
    assert table().tests.is_test_file(path)


@pytest.mark.parametrize("path", table().tests.path_no)
def test_other_files_are_not(path: str) -> None:
    assert not table().tests.is_test_file(path)


@pytest.mark.parametrize("subject", table().commits.fix_yes)
def test_subjects_that_say_fix(subject: str) -> None:
    assert table().commits.kind(subject) == "fix"


@pytest.mark.parametrize("subject", table().commits.refactor_yes)
def test_subjects_that_say_refactor(subject: str) -> None:
    assert table().commits.kind(subject) == "refactor"


@pytest.mark.parametrize("subject", table().commits.fix_no)
def test_subjects_that_do_not_say_fix(subject: str) -> None:
    assert table().commits.kind(subject) != "fix"


LINE = st.sampled_from(["  a = 1", "  a = 1", "", "  # note", "  b(a)"])


@given(st.lists(LINE, min_size=1, max_size=400), st.lists(LINE, max_size=400), st.booleans())
def test_the_edit_always_puts_back_what_was_taken_out(before: list[str], after: list[str], documented: bool) -> None:
    doc = ["  # Why."] if documented else []
    text = "\n".join(["class A", *before, "", *doc, "  def wanted(x)", "    x + 1", "  end", "", *after, "end", ""])
    project = project_of({"a.rb": text})
    one = next(found for found in project.definitions["a.rb"] if found.name == "wanted")
    try:
        where = placed(project, "a.rb", one, (), ())
    except NoPlace:
        return
    assert "def wanted" not in where.context
    assert_put_back(where, text)


def assert_put_back(where: Placed, text: str) -> None:
    """The edit fits exactly one place of what is shown, and gives the file again, as far as it is shown."""
    (edit,) = where.written
    parts = [one for one in where.shown if one.path == edit.path]
    assert sum(part.text.count(edit.old) for part in parts) == 1
    for part in parts:
        result = part.text.replace(edit.old, edit.new)
        assert result in text
        if not part.offset:
            assert result == text


def project_of(files: dict[str, str], language: str = "ruby") -> Project:
    """A project from texts, without a disk."""
    folder = Folder(Path("/project"), "")
    return Project(
        [CodeFile(folder, path, text.encode(), table().tests.is_test_file(path)) for path, text in files.items()],
        language,
    )
