"""`lora-tui hosts`: a machine is added, recognised, looked at; strangers are refused; config.toml stays as it was."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest

from lora_tui.backends.rented import there
from lora_tui.cli.main import run as command
from lora_tui.workspace import hosts
from lora_tui.workspace.config import Host, load_config
from lora_tui.workspace.layout import Workspace
from ssh_servers import OpenSsh, SshServer, fake_python, openssh, own_key, ssh_server


@pytest.fixture
def server() -> Iterator[SshServer]:
    with ssh_server(Path(os.environ["HOME"])) as found:
        yield found


def _run(workspace: Workspace, *words: str) -> int:
    return command(["--workspace", str(workspace.root), "hosts", *words])


def _add(workspace: Workspace, server: SshServer | OpenSsh, name: str = "gpu", **more: str) -> None:
    hosts.add(workspace, name, Host(address="127.0.0.1", port=server.port, **more))


def test_hosts_are_added_and_removed_and_every_other_line_stays(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = '# mine\ntheme = "lora-light"  # at night\n\n[cost]\nwatts = 300 # measured\n'
    workspace.config.write_text(mine)
    assert _run(workspace, "add", "gpu", "10.0.0.5", "--user", "me", "--price", "1.2") == 0
    assert _run(workspace, "add", "box-2", "alias", "--gpus", "2") == 0
    assert load_config(workspace).hosts == {
        "gpu": Host(address="10.0.0.5", user="me", price_per_hour=1.2),
        "box-2": Host(address="alias", gpus=2),
    }
    assert workspace.config.read_text().startswith(mine)
    capsys.readouterr()
    assert _run(workspace, "list") == 0
    assert "me@10.0.0.5" in capsys.readouterr().out
    assert _run(workspace, "add", "gpu", "elsewhere") == 2
    assert _run(workspace, "add", "together", "elsewhere") == 2
    assert _run(workspace, "remove", "gpu") == 0
    assert _run(workspace, "remove", "box-2") == 0
    assert workspace.config.read_text().rstrip() == mine.rstrip()
    assert _run(workspace, "remove", "gpu") == 2


def test_a_place_is_added_as_ssh_takes_it(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(workspace, "add", "a", "me@10.0.0.5:2222") == 0
    assert _run(workspace, "add", "b", "[fd00::5]:2222", "--user", "me") == 0
    assert _run(workspace, "add", "c", "fd00::5") == 0
    assert load_config(workspace).hosts == {
        "a": Host(address="10.0.0.5", port=2222, user="me"),
        "b": Host(address="fd00::5", port=2222, user="me"),
        "c": Host(address="fd00::5"),
    }
    for wrong in ("", "me@", "two words"):
        assert _run(workspace, "add", "d", wrong) == 2
        assert "is no address" in capsys.readouterr().err


def test_a_comment_behind_a_host_stays_when_it_is_removed(workspace: Workspace) -> None:
    workspace.config.write_text('[hosts.gpu]\naddress = "x"\n# of it\nport = 3\n\n# mine\n[cost]\nwatts = 300\n')
    assert _run(workspace, "remove", "gpu") == 0
    assert workspace.config.read_text() == "\n# mine\n[cost]\nwatts = 300\n"


def test_a_machine_is_unknown_until_its_fingerprint_is_trusted(
    workspace: Workspace, server: SshServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _add(workspace, server, python=sys.executable, folder=str(tmp_path / "box"))
    assert _run(workspace, "check", "gpu") == 2
    said = capsys.readouterr().err
    assert server.fingerprint in said
    assert f"lora-tui hosts check gpu --trust {server.fingerprint}" in said
    assert _run(workspace, "check", "gpu", "--trust", "SHA256:another") == 2
    assert _run(workspace, "check", "gpu", "--trust", server.fingerprint, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["fingerprint"] == server.fingerprint
    assert found["lacks"] == ""
    assert found["facts"]["cores"] == os.cpu_count()
    assert found["facts"]["disk_free"] > 0
    assert found["facts"]["ram_total"] > 0
    assert _run(workspace, "check", "gpu") == 0
    assert not (Path(os.environ["HOME"]) / ".ssh" / "known_hosts").exists()


def test_the_gpus_of_a_machine_are_listed(
    workspace: Workspace, server: SshServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    smi = tmp_path / "bin" / "nvidia-smi"
    smi.parent.mkdir()
    smi.write_text(
        "#!/bin/sh\necho 'NVIDIA GeForce RTX 4090, 24564, 512'; echo 'NVIDIA L4, 23034, 0'\n"
        "echo 'NVIDIA GB10, [N/A], [N/A]'\n"
    )
    smi.chmod(0o755)
    server.path = str(smi.parent)
    _add(workspace, server)
    assert _run(workspace, "check", "gpu", "--trust", server.fingerprint) == 0
    said = capsys.readouterr().out
    assert "NVIDIA GeForce RTX 4090, 23 of 24 GiB free" in said
    assert "NVIDIA L4, 22 of 22 GiB free" in said
    assert "NVIDIA GB10\n" in said


def test_a_shell_that_greets_and_an_old_python3_are_no_hindrance(
    workspace: Workspace, server: SshServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.greeting = b"Welcome!\n{}\n"
    old = fake_python(tmp_path / "bin", "*python_version*) echo 'lora-tui answers: 3.6.9'; exit;;\n*) exit 3;;")
    newer = fake_python(tmp_path / "newer")
    newer.rename(old.with_name("python3.12"))
    server.path = str(old.parent)
    _add(workspace, server, folder=str(tmp_path / "box"))
    assert _run(workspace, "check", "gpu", "--trust", server.fingerprint, "--json") == 0
    assert json.loads(capsys.readouterr().out)["interpreter"] == "python3.12"
    _add(workspace, server, "older", python=str(old))
    assert _run(workspace, "check", "older") == 1
    assert f"needs Python 3.11 or newer on this machine, which has: {old} is 3.6.9" in capsys.readouterr().err


def test_an_interpreter_is_found_in_the_home_there_and_what_it_lacks_is_named(
    workspace: Workspace, server: SshServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_python(Path(os.environ["HOME"]) / "my env", f"*find_spec*trl*) echo '{there.MARK}trl peft'; exit;;")
    script = Path(os.environ["HOME"]) / "my env" / "python3"
    script.write_text(script.read_text().replace(f"*find_spec*) echo '{there.MARK}'; exit;;\n", ""))
    _add(workspace, server, python="~/my env/python3", folder=str(tmp_path / "box"))
    assert _run(workspace, "check", "gpu", "--trust", server.fingerprint) == 0
    assert "~/my env/python3 (lacks: it has no trl, peft)" in capsys.readouterr().out


def test_a_machine_whose_key_has_changed_is_refused_until_the_old_one_is_forgotten(
    workspace: Workspace, server: SshServer, capsys: pytest.CaptureFixture[str]
) -> None:
    _add(workspace, server)
    assert _run(workspace, "check", "gpu", "--trust", server.fingerprint) == 0
    server.stop()
    server.host_key = asyncssh.generate_private_key("ssh-ed25519")
    server.start()
    for more in ((), ("--trust", server.fingerprint)):
        assert _run(workspace, "check", "gpu", *more) == 2
        said = capsys.readouterr().err
        assert "its host key has changed" in said
        assert server.fingerprint in said
    assert _run(workspace, "check", "gpu", "--forget", "--trust", server.fingerprint) == 0


def test_an_alias_of_ones_ssh_config_and_its_jump_host_are_used(
    workspace: Workspace, server: SshServer, capsys: pytest.CaptureFixture[str]
) -> None:
    home = Path(os.environ["HOME"])
    key = own_key(home)
    moved = key.rename(key.with_name("for-the-box"))
    key.with_suffix(".pub").rename(moved.with_suffix(".pub"))
    with ssh_server(home, moved) as jump:
        (home / ".ssh" / "config").write_text(
            f"Host inside\n  HostName 127.0.0.1\n  Port {server.port}\n  ProxyJump gate\n  IdentityFile {moved}\n"
            f"Host gate\n  HostName 127.0.0.1\n  Port {jump.port}\n  IdentityFile {moved}\n"
        )
        hosts.add(workspace, "gpu", Host(address="inside"))
        assert _run(workspace, "check", "gpu", "--trust", server.fingerprint) == 2
        assert "machine on the way" in capsys.readouterr().err
        known = f"[127.0.0.1]:{jump.port} {jump.host_key.export_public_key().decode()}"
        (home / ".ssh" / "known_hosts").write_text(known)
        assert _run(workspace, "check", "gpu", "--trust", server.fingerprint) == 0
        assert jump.connections >= 2
        assert (home / ".ssh" / "known_hosts").read_text() == known


def test_what_is_in_the_way_is_said_in_plain_words(
    workspace: Workspace, server: SshServer, capsys: pytest.CaptureFixture[str]
) -> None:
    _add(workspace, server)
    assert _run(workspace, "check", "gpu", "--trust", server.fingerprint) == 0
    capsys.readouterr()
    server.accepts = lambda line: False
    assert _run(workspace, "check", "gpu") == 1
    assert "does not let you in" in capsys.readouterr().err
    server.stop()
    assert _run(workspace, "check", "gpu") == 1
    assert "refuses the connection" in capsys.readouterr().err
    hosts.add(workspace, "nowhere", Host(address="no-such-machine.invalid"))
    assert _run(workspace, "check", "nowhere") == 1
    assert "there is no machine called 'no-such-machine.invalid'" in capsys.readouterr().err
    assert _run(workspace, "check", "other") == 2
    assert "there is no host 'other'" in capsys.readouterr().err


def test_openssh_is_checked_as_well(workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if not openssh():
        pytest.skip("OpenSSH's sshd is not installed")
    key = own_key(Path(os.environ["HOME"]))
    server = OpenSsh(tmp_path, key.with_suffix(".pub"), {"HOME": str(tmp_path)})
    server.start()
    try:
        _add(workspace, server, python=sys.executable)
        shown = server.host_key.get_fingerprint("sha256")
        assert _run(workspace, "check", "gpu") == 2
        assert shown in capsys.readouterr().err
        assert _run(workspace, "check", "gpu", "--trust", shown) == 0
        assert f"key     {shown}" in capsys.readouterr().out
    finally:
        server.stop()
