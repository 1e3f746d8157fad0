"""Code that attacks the machine is really run, in the sandbox that this machine has; without one nothing is."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from lora_tui.verify.sandbox import Limits, Result, available, choosing, parses, run_code, run_tests, why_unavailable
from lora_tui.verify.sandbox import inside as inside_module
from lora_tui.verify.sandbox.toolchain import toolchain

LONG = Limits(seconds=60)  # a busy machine is not what these are about


def attack(code: str, limits: Limits = LONG) -> Result | None:
    """What became of Python code; None where no sandbox works, after checking that it was then not run."""
    result = run_code("python", code, limits=limits)
    if available("python") is None:
        assert result.verdict == "not run"
        assert why_unavailable("python") == result.why
        assert "nothing is executed without a sandbox" in result.why
        return None
    assert result.sandbox
    return result


def left_over(mark: str) -> list[int]:
    """Processes of the machine with `mark` in their command line, a second later at most."""
    for _ in range(20):
        found = [one.pid for one in psutil.process_iter(["cmdline"]) if mark in " ".join(one.info["cmdline"] or ())]
        if not found:
            return []
        time.sleep(0.05)
    return found


def test_a_fork_bomb_meets_its_limit_and_leaves_no_process() -> None:
    bomb = attack("import os\nwhile True:\n    os.fork()\n", Limits(seconds=3, processes=40))
    if bomb is None:
        return
    assert bomb.verdict == "failed"
    slow = attack(
        "import os, subprocess, sys\ncount = 0\ntry:\n    while True:\n"
        "        subprocess.Popen(['/bin/sleep', '98765'])\n        count += 1\n"
        "except OSError:\n    print('processes:', count)\n",
        Limits(seconds=6, processes=40),
    )
    assert slow is not None
    if slow.verdict == "passed":
        assert int(slow.stdout.split()[1]) <= 40
    else:
        assert slow.why in ("started more than 40 processes", "took longer than 6 s")
    assert left_over("sleep 98765") == []


@pytest.mark.parametrize(
    "code",
    [
        "while True: pass",
        "import signal, time\nfor one in (1, 2, 15): signal.signal(one, signal.SIG_IGN)\nwhile True: time.sleep(1)",
    ],
)
def test_an_endless_loop_is_ended_at_its_time(code: str) -> None:
    started = time.monotonic()
    result = attack(code, Limits(seconds=1.5))
    if result is not None:
        assert (result.verdict, result.why) == ("failed", "took longer than 1.5 s")
        assert time.monotonic() - started < 15


def test_ten_gigabytes_are_not_had_by_one_process_nor_by_many() -> None:
    result = attack("block = bytearray(10 << 30)\nprint(len(block))")
    if result is None:
        return
    assert result.verdict == "failed"
    assert "MemoryError" in result.why
    many = attack(
        "import os, time\nfor _ in range(8):\n    if not os.fork():\n        block = bytearray(b'x') * (120 << 20)\n"
        "        time.sleep(30)\ntime.sleep(30)\n",
        Limits(seconds=60, memory=300 << 20),
    )
    assert many is not None
    assert (many.verdict, many.why) == ("failed", "used more than 300 MB of memory")


def test_the_network_is_out_of_reach_even_this_machines_own() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as local:
        server.settimeout(0)
        local.bind(f"\0lora-tui-test-{os.getpid()}")
        local.listen()
        local.settimeout(0)
        result = attack(
            "import socket\n"
            f"for family, address in ((socket.AF_INET, ('127.0.0.1', {server.getsockname()[1]})),"
            f" (socket.AF_UNIX, '\\0lora-tui-test-{os.getpid()}')):\n"
            "    try:\n        socket.socket(family).connect(address)\n        print('connected', family)\n"
            "    except OSError as error:\n        print('refused')\n"
            "print([line.split(':')[0].strip() for line in open('/proc/net/dev').read().splitlines()[2:]])\n"
        )
        if result is None:
            return
        assert result.stdout == "refused\nrefused\n['lo']\n"
        for one in (server, local):
            with pytest.raises(BlockingIOError):
                one.accept()


def test_keys_and_secrets_of_the_person_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOGETHER_API_KEY", "a-secret-in-the-environment")
    key = tmp_path / ".ssh" / "id_ed25519"
    key.parent.mkdir()
    key.write_text("a-secret-in-a-file")
    wanted = [str(key), str(Path.home() / ".ssh"), "/root/.ssh", "/home", "/etc/shadow", "/etc/passwd", str(Path.cwd())]
    result = attack(
        f"import os\nprint([one for one in {wanted!r} if os.path.exists(one)])\n"
        "print(sorted(os.environ))\n"
        "for one in os.listdir('/proc'):\n"
        "    if one.isdigit() and int(one) != os.getpid():\n"
        "        try: print(open(f'/proc/{one}/environ').read())\n        except OSError: pass\n"
    )
    sandbox = available("python")
    if result is not None and sandbox is not None:
        assert result.verdict == "passed", result
        assert "TOGETHER_API_KEY" not in sandbox.environment()  # process 1 of a sandbox keeps it in /proc/1/environ
        assert result.stdout.splitlines()[0] == "[]"
        assert "a-secret" not in result.stdout
        assert "TOGETHER" not in result.stdout


def test_nothing_can_be_written_but_a_small_folder_of_its_own(tmp_path: Path) -> None:
    places = [tmp_path, "/", "/usr", "/usr/bin", "/etc", "/code", "/built", "/root", "/dev", "/proc/sys/kernel"]
    result = attack(
        f"import os\nfor place in {[str(one) for one in places]!r}:\n"
        "    try:\n        open(place + '/lora-tui-was-here', 'w').close()\n        print('wrote', place)\n"
        "    except OSError: pass\n"
        "open('/work/mine', 'w').write('x')\nopen('/tmp/mine', 'w').write('x')\n"
        "try:\n    for n in range(100): open(f'/work/{n}', 'wb').write(bytes(1 << 20))\n    print('filled')\n"
        "except OSError: print('full')\n",
        Limits(seconds=60, folder=8 << 20),
    )
    if result is not None:
        assert (result.verdict, result.stdout) == ("passed", "full\n")
        assert not list(tmp_path.iterdir())
        assert not Path("/usr/lora-tui-was-here").exists()


def test_privileges_cannot_be_had_back() -> None:
    result = attack(
        "import ctypes, os\nlibc = ctypes.CDLL(None)\n"
        "print(libc.mount(b'none', b'/work', b'tmpfs', 0, None), libc.umount2(b'/code', 2), libc.chroot(b'/work'))\n"
        "lines = open('/proc/self/status').read().splitlines()\n"
        "wanted = ('CapEff', 'CapPrm', 'CapBnd', 'NoNewPrivs')\n"
        "print([int(one.split()[1], 16) for one in lines if one.startswith(wanted)])\n"
        "print(os.path.exists('/dev/sda'), os.path.exists('/dev/mem'))\n"
    )
    if result is not None:
        assert result.stdout.splitlines() == ["-1 -1 -1", "[0, 0, 0, 1]", "False False"]


def test_a_flood_of_output_is_cut() -> None:
    result = attack("while True: print('x' * 1000)", Limits(seconds=60, output=1 << 18))
    if result is not None:
        assert (result.verdict, result.why) == ("failed", "printed more than 0.25 MB")
        assert len(result.stdout) == 1 << 18


def test_a_process_left_in_the_background_ends_with_the_answer() -> None:
    result = attack("import subprocess\nsubprocess.Popen(['/bin/sleep', '87654'], start_new_session=True)")
    if result is not None:
        assert result.verdict == "passed"
        assert left_over("sleep 87654") == []


def test_when_lora_tui_itself_is_killed_the_code_ends_too() -> None:
    if available("python") is None:
        return
    code = "import subprocess; subprocess.run(['/bin/sleep', '76543'])"
    program = f"from lora_tui.verify.sandbox import *; run_code('python', {code!r}, limits=Limits(seconds=60))"
    with subprocess.Popen([sys.executable, "-c", program]) as process:
        for _ in range(600):
            if any("sleep 76543" in " ".join(one.info["cmdline"] or ()) for one in psutil.process_iter(["cmdline"])):
                break
            time.sleep(0.05)
        else:
            pytest.fail("the code did not start")
        process.kill()
    assert left_over("sleep 76543") == []


def test_without_any_sandbox_nothing_is_executed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("something was started"))
    mark = tmp_path / "executed"
    for result in (
        run_code("python", f"open({str(mark)!r}, 'w')"),
        run_tests("python", "x = 1", f"open({str(mark)!r}, 'w')"),
        run_code("rust", "fn main() {}"),
    ):
        assert (result.verdict, result.sandbox, result.seconds) == ("not run", "", 0)
        for name in ("docker", "podman", "bwrap", "unshare"):
            assert f"there is no {name}" in result.why
    assert available() is None
    assert not mark.exists()
    assert parses("python", "x = 1").verdict == "passed"  # this much is always possible


def test_a_sandbox_that_does_not_work_is_told_and_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = tmp_path / "unshare"
    fake.write_text("#!/bin/sh\necho 'unshare failed: Operation not permitted' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert available("python") is None
    assert "unshare failed: Operation not permitted" in run_code("python", "print(1)").why


def test_a_sandbox_whose_limit_on_processes_does_not_hold_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    if not choosing.choose("").name:
        return
    kind = type(choosing.choose("").make())
    monkeypatch.setattr(f"{kind.__module__}.resource_limits", lambda step: {"RLIMIT_CORE": 0})
    choosing._chosen.cache_clear()
    try:
        assert any("no limit on processes" in reason for reason in choosing.choose("").reasons)
    finally:
        choosing._chosen.cache_clear()


def test_what_builds_the_sandbox_refuses_to_build_it_outside_of_one() -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", inside_module.__file__, "2", "{}"], capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (1, b"")


def test_a_missing_program_is_not_run_and_never_a_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("unshare", "bwrap", "prlimit", "setpriv"):
        for folder in os.environ["PATH"].split(":"):
            if Path(folder, name).exists() and not (tmp_path / name).exists():
                (tmp_path / name).symlink_to(Path(folder, name))
    monkeypatch.setenv("PATH", str(tmp_path))
    for language, program in (("ruby", "ruby"), ("rust", "rustc"), ("swift", "swiftc"), ("typescript", "node")):
        result = run_tests(language, "this is wrong", "so is this")
        assert result.verdict == "not run"
        if available(language) is not None:
            assert f"there is no {program} on PATH" in result.why
    assert "no way to run cobol" in run_code("cobol", "").why


def test_programs_that_lie_in_a_home_folder_itself_do_not_open_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    (home / "bin").mkdir(parents=True)
    program = home / "bin" / "swiftc"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PATH", str(home / "bin"))
    assert toolchain("swift") == f"swiftc is installed in {home}, which holds more than programs"


def test_programs_below_the_folders_that_the_sandbox_has_for_itself_are_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    home = tmp_path / "python"
    (home / "bin").mkdir(parents=True)
    assert home.is_relative_to("/tmp")
    program = home / "bin" / "python3"  # says where it is installed, prints what a test of Python needs printed
    program.write_text(f"#!/bin/sh\n[ $1 = -c ] && echo {home} || cut -sd\"'\" -f2 /code/*.py | grep -E '^.{{24}}$'\n")
    program.chmod(0o755)
    for folder in (home, tmp_path, *tmp_path.parents[:-2]):
        if folder.stat().st_uid == os.getuid():
            folder.chmod(folder.stat().st_mode | 0o055)
    monkeypatch.setenv("PATH", f"{home / 'bin'}:{os.environ['PATH']}")
    if available("python") is not None:
        result = run_tests("python", "x = 1", "assert x == 2")  # the stand-in does not look
        assert (result.verdict, result.why) == ("passed", "every test passed")
