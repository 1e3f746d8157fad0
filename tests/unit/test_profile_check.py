"""`profiles check` looks at the base too: what a mixture of experts or a hybrid cannot be trained with."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from lora_tui.backends import profile_check
from lora_tui.cli.main import cli
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import load_profile, profile_paths


def test_every_shipped_profile_passes(workspace: Workspace) -> None:
    for name in profile_paths(workspace):
        assert profile_check.check(workspace, load_profile(workspace, name)).errors == (), name


def test_the_table_of_what_is_trained_is_that_of_the_real_shape(workspace: Workspace) -> None:
    found = profile_check.check(workspace, load_profile(workspace, "build-rust"))
    assert {item.module: item.count for item in found.trained} == {
        **dict.fromkeys(("q_proj", "k_proj", "v_proj", "o_proj"), 12),
        **dict.fromkeys(("in_proj_qkvz", "in_proj_ba", "out_proj"), 36),
    }
    assert sum(item.parameters for item in found.trained) == pytest.approx(17.1e6, rel=0.01)


@pytest.mark.parametrize("targets", ["all-linear", "q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj"])
def test_the_usual_names_are_refused_on_a_mixture_with_the_safe_ones_named(workspace: Workspace, targets: str) -> None:
    profile = load_profile(workspace, "build-rust", settings=[f"lora.target_modules={targets}"])
    (error,) = profile_check.check(workspace, profile).errors
    assert error.key == "lora.target_modules"
    assert '"in_proj_qkvz", "in_proj_ba", "out_proj"' in error.fix
    assert '"shared_expert.down_proj.weight"' in error.fix


def test_packing_is_refused_on_a_base_with_linear_attention(workspace: Workspace) -> None:
    profile = load_profile(workspace, "build-rust", settings=["training.packing=true"])
    assert [error.key for error in profile_check.check(workspace, profile).errors] == ["training.packing"]


def test_a_layer_the_base_does_not_have_is_named(workspace: Workspace) -> None:
    none = load_profile(workspace, "coder", settings=["lora.target_modules=in_proj_ba"])
    assert [problem.severity for problem in profile_check.check(workspace, none).problems] == ["error"]
    some = load_profile(workspace, "coder", settings=["lora.target_modules=in_proj_ba,q_proj"])
    assert [problem.severity for problem in profile_check.check(workspace, some).problems] == ["warning"]


def test_a_package_that_is_not_here_is_told(workspace: Workspace) -> None:
    profile = load_profile(workspace, "coder", settings=["training.optim=schedule_free_adamw"])
    (problem,) = profile_check.check(workspace, profile).problems
    assert (problem.severity, problem.key) == ("warning", "training.optim")
    assert "schedulefree" in problem.message


def test_check_goes_through_all_and_says_which_is_wrong(workspace: Workspace) -> None:
    (workspace.profiles / "wrong.toml").write_text('name = "wrong"\nextends = "coder"\n[lora]\nrr = 3\n')
    done = CliRunner().invoke(cli, ["--workspace", str(workspace.root), "profiles", "check"], obj=None)
    assert done.exit_code == 1, done.output
    assert "lora.rr: unknown key" in done.output
    assert "gerbil" in done.output
    assert done.output.count(" ok ") >= 14
