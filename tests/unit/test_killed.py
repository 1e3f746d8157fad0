"""The helper that kills work at every step tells careful writing from careless."""

from __future__ import annotations

import shutil
from pathlib import Path

import killed
from lora_tui.workspace import atomic


def careless(path: Path) -> None:
    with path.open("w") as file:
        file.write("new")


def test_a_file_written_in_place_is_found_lost_and_one_replaced_never(tmp_path: Path) -> None:
    path = tmp_path / "inside" / "file"
    path.parent.mkdir()
    path.write_text("old")
    seen = [path.read_text() for _ in killed.at_every_step(path.parent, lambda: atomic.write_text(path, "new"))]
    assert seen[:3] == ["old", "old", "old"]  # to be opened, to be on the disk, to be renamed
    assert set(seen) <= {"old", "new"}
    assert path.read_text() == "new"

    def removed_and_written() -> None:
        path.unlink()
        careless(path)

    states = [path.is_file() for _ in killed.at_every_step(path.parent, removed_and_written)]
    assert states == [True, False]


def test_a_folder_that_is_removed_is_killed_at_each_of_its_files(tmp_path: Path) -> None:
    folder = tmp_path / "inside"
    (folder / "a").mkdir(parents=True)
    for name in "xyz":
        (folder / "a" / name).write_text(name)
    left = [len(list(folder.rglob("?"))) for _ in killed.at_every_step(folder, lambda: shutil.rmtree(folder / "a"))]
    assert left == [4, 3, 2, 1]
    assert not (folder / "a").exists()


def test_a_module_is_killed_in_a_process_of_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "inside"
    folder.mkdir()
    (folder / "one").write_text("1")
    source = "import os\nos.rename('one', 'two')\nopen('three', 'w').close()\n"
    (folder / "working.py").write_text(source)
    steps = list(killed.at_every_step(folder, module=["working"]))
    assert [step.split()[1] for step in steps] == ["os.rename", "open"]
    assert (folder / "three").exists()
