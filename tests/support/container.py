"""Carry out the container files without a container engine, in mount namespaces with an image's files only."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from support.processes import CHECKOUT, Process, need

DOCKERFILE = CHECKOUT / "deploy" / "Dockerfile"
PYTHON = Path(sys.base_prefix) / "bin"
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc")  # the files of the base image, and the real Python
VENV = Path("/opt/theeye-sync")


@dataclass
class Stage:
    """Hold the instructions of one stage of the Dockerfile, in order."""

    base: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def all(self, word: str) -> list[str]:
        return [text for known, text in self.instructions if known == word]

    def last(self, word: str) -> str:
        return self.all(word)[-1]

    @property
    def environment(self) -> dict[str, str]:
        found = {"PATH": f"{PYTHON}:/usr/sbin:/usr/bin:/sbin:/bin"}
        for pair in shlex.split(" ".join(self.all("ENV"))):
            name, _, value = pair.partition("=")
            found[name] = value.replace("$PATH", found["PATH"])
        return found

    @property
    def command(self) -> list[str]:
        return list(json.loads(self.last("CMD")))

    @property
    def health_check(self) -> list[str]:
        return list(json.loads(self.last("HEALTHCHECK").partition("CMD ")[2]))


def stages() -> list[Stage]:
    """Read the Dockerfile."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if not line.startswith("#")]
    found: list[Stage] = []
    for line in filter(None, "\n".join(lines).replace("\\\n", "").splitlines()):
        word, _, text = line.partition(" ")
        if word == "FROM":
            found.append(Stage(text))
        else:
            found[-1].instructions.append((word, text))
    return found


def build(venv: Path) -> None:
    """Carry out the COPY and RUN instructions of the build stage; put the files for the next stage into `venv`."""
    stage, home = stages()[0], venv.parent
    source = home / "source"
    source.mkdir()
    for text in stage.all("COPY"):
        *names, target = text.split()
        for name in names:
            origin = CHECKOUT / name
            if origin.is_dir():
                shutil.copytree(origin, source / target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(origin, source / target)
    for folder in (venv, home / "tmp"):
        folder.mkdir()
    given = {VENV: venv, Path(stage.last("WORKDIR")): source, Path("/tmp"): home / "tmp"}
    script = _script(home / "root", given, writable=True)
    env = os.environ | {"PATH": stage.environment["PATH"], "HOME": "/tmp"}
    inside = f"cd {stage.last('WORKDIR')} && {stage.last('RUN')}"
    command = [need("unshare", "util-linux"), "--mount", "sh", "-c", script, "-", "sh", "-c", inside]
    ran = subprocess.run(command, env=env, capture_output=True, text=True, timeout=110, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


class Container(Process):
    """Run a command of the image as its user, with a read-only root and small `writable` directories in memory."""

    def __init__(
        self, venv: Path, environment: Mapping[str, str], writable: Sequence[str], command: Sequence[str] = ()
    ) -> None:
        super().__init__()
        self._venv, self._writable = venv, writable
        self._stage = stages()[-1]
        self._environment = self._stage.environment | environment
        self._command = command or self._stage.command

    def start(self) -> None:
        self.launch(self.arguments(self._command))

    def is_healthy(self) -> bool:
        """Return whether the Dockerfile's HEALTHCHECK succeeds in the container."""
        self._check_early_exit()
        ran = subprocess.run(self.arguments(self._stage.health_check), capture_output=True, timeout=60, check=False)
        return ran.returncode == 0

    def arguments(self, command: Sequence[str]) -> list[str]:
        """Return the arguments that run a command in a namespace of its own."""
        given = {VENV: self._venv, **{Path(each): None for each in self._writable}}
        script = _script(self.directory / "root", given, writable=False)
        user, _, group = self._stage.last("USER").partition(":")
        rights = ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", "--no-new-privs"]
        rights += ["--bounding-set=-all", "--inh-caps=-all"]
        env = ["env", "-i", f"--chdir={self._stage.last('WORKDIR')}"]
        env += [f"{name}={value}" for name, value in self._environment.items()]
        return [need("unshare", "util-linux"), "--mount", "sh", "-c", script, "-", *rights, *env, *command]


def _script(root: Path, given: Mapping[Path, Path | None], *, writable: bool) -> str:
    """Return a script that sets up the root and starts "$@" in it; None in `given` is a small file system in memory."""
    lines = ["set -e", "mount --make-rprivate /", f"mkdir -p {root}", f"mount -t tmpfs -o mode=755 tmpfs {root}"]
    lines += [f"mkdir -p {root}/tmp {root}/srv {root}/dev {root}/proc"]
    lines += [f"mount --rbind {each} {root}{each}" for each in ("/dev", "/proc")]
    if Path("/dev/shm") not in given:
        lines += [f"mount -t tmpfs -o ro tmpfs {root}/dev/shm"]
    for each in dict.fromkeys([*SYSTEM, sys.base_prefix]):
        lines += _bind(Path(each), Path(f"{root}{each}"), "ro")
    for target, origin in given.items():
        where = Path(f"{root}{target}")
        in_memory = [f"mkdir -p {where}", f"mount -t tmpfs -o size=16m,mode=1777 tmpfs {where}"]
        lines += _bind(origin, where, "rw" if writable else "ro") if origin else in_memory
    lines += [] if writable else [f"mount -o remount,ro {root}"]
    return "\n".join([*lines, f'exec chroot {root} "$@"'])


def _bind(origin: Path, target: Path, mode: str) -> list[str]:
    return [f"mkdir -p {target}", f"mount --bind {origin} {target}", f"mount -o remount,bind,{mode} {target}"]
