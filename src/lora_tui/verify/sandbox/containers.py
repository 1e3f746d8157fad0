"""The container sandbox: docker or podman without network, with a read-only root and no capabilities.

Images are never fetched by themselves: one that is missing is told with the command that brings it.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess

from lora_tui.verify.sandbox.limits import Step
from lora_tui.verify.sandbox.watched import Ended

_SECONDS = 15  # to ask the engine something
_NOBODY = 65534
_ENGINE_FAILED, _NOT_EXECUTABLE, _NOT_FOUND = 125, 126, 127  # docker run's own exit statuses


class Container:
    """Runs a step in a container of its own."""

    def __init__(self, engine: str, image: str) -> None:
        self.name = engine
        self._image = image
        self._container = f"lora-tui-{secrets.token_hex(8)}"

    def refusal(self) -> str:
        """Why it cannot be tried; ''."""
        if not shutil.which(self.name):
            return f"there is no {self.name} on PATH"
        if not self._image:
            return f"{self.name} has no image for it"
        said = self._asked("version", "--format", "{{.Server.Version}}")
        if said:
            return f"{self.name} does not answer: {said}"
        if self._asked("image", "inspect", "--format", "{{.Id}}", self._image):
            return f"{self.name} has no image {self._image}; `{self.name} pull {self._image}` brings it"
        return ""

    def command(self, step: Step, status: int) -> list[str]:
        """The command that runs `step`; a container has no status file."""
        limits = step.limits
        room = f"rw,exec,nosuid,nodev,size={limits.folder},mode=1777"
        options = ["--rm", "--name", self._container, "--pull", "never", "--network", "none", "--read-only"]
        options += ["--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--user", f"{_NOBODY}:{_NOBODY}"]
        options += ["--pids-limit", str(limits.processes), "--cpus", "1"]
        options += ["--memory", str(limits.memory), "--memory-swap", str(limits.memory)]
        options += ["--ulimit", f"fsize={step.largest_file}", "--ulimit", f"nofile={limits.open_files}"]
        options += ["--ulimit", f"cpu={int(step.seconds) + 1}", "--ulimit", "core=0"]
        options += ["--tmpfs", f"/work:{room}", "--tmpfs", f"/tmp:{room}", "--workdir", "/work"]
        options += ["--env", "HOME=/work", "--env", "LANG=C.UTF-8"]
        options += [
            "--volume",
            f"{step.code}:/code:ro",
            "--volume",
            f"{step.built}:/built{'' if step.building else ':ro'}",
        ]
        return [shutil.which(self.name) or self.name, "run", *options, self._image, *step.argv]

    def environment(self) -> dict[str, str]:
        """The engine's client needs what says where its engine is; none of it gets into a container."""
        return dict(os.environ)

    def began(self, ended: Ended) -> str:
        """'' when the code itself was started, else what went wrong before."""
        if ended.code in (_ENGINE_FAILED, _NOT_EXECUTABLE, _NOT_FOUND) and not ended.stopped:
            return ended.stderr.strip() or f"{self.name} ended with {ended.code}"
        return ""

    def stop(self) -> None:
        """End the container: it does not end with the command that started it."""
        self._asked("rm", "--force", self._container)

    def _asked(self, *arguments: str) -> str:
        """'' when the engine did as asked, else what it said."""
        try:
            done = subprocess.run(
                [self.name, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        return "" if not done.returncode else done.stderr.strip() or f"status {done.returncode}"
