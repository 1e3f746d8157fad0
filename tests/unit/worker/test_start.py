"""Starting the worker: errors come quickly and in words."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from lora_tui.worker.__main__ import _failure
from lora_tui.workspace.errors import BadInput


def test_a_wrong_job_file_is_told_without_loading_the_engine(tmp_path: Path) -> None:
    (tmp_path / "job.toml").write_text("id = 3\n")
    script = (
        "import sys; from lora_tui.worker.__main__ import main; code = main(['job.toml']);"
        "print(code, sorted({'torch', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "2 []\n"
    assert "job.toml:1" in done.stderr


def test_a_missing_engine_says_how_to_install_it() -> None:
    failed = _failure(ModuleNotFoundError("No module named 'trl'", name="trl"))
    assert failed.reason == "the engine is not installed: trl is missing"
    assert failed.fix == "Install the engine: pip install 'lora-tui[train]'"


def test_our_own_errors_keep_their_words_and_others_say_where() -> None:
    assert _failure(BadInput("no", where="here", fix="do")).where == "here"
    try:
        raise RuntimeError("boom\nand a long story")
    except RuntimeError as error:
        failed = _failure(error)
    assert failed.reason == "RuntimeError: boom"
    assert failed.where.startswith("test_start.py:")
