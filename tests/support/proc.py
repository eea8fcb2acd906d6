"""Read processes and their sockets from Linux's /proc."""

import re
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

LISTENS, CONNECTED = "0A", "01"


class Socket(NamedTuple):
    """Hold one end of a TCP connection over IPv4; `name` is the name of the process's file."""

    port: int
    remote_port: int
    state: str
    name: str


def group_pids(group: int) -> list[int]:
    """Return the living members of a process group, without zombies."""
    members = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, pgrp = path.read_text().rpartition(")")[2].split()[:3]
            if int(pgrp) == group and state != "Z":
                members.append(int(path.parent.name))
    return members


def children(pid: int) -> list[int]:
    """Return the children of a process; none if it has ended."""
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()] if path.exists() else []


def open_files(pid: int) -> dict[str, str]:
    """Return the open files of a process by number."""
    found = {}
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # the file was closed meanwhile
            found[path.name] = str(path.readlink())
    return found


def sockets() -> set[Socket]:
    """Return the sockets of all processes.

    While others come and go, one reading may have a socket twice, or leave it out: there are several, as a set.
    """
    lines = [line.split() for _ in range(2) for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {Socket(int(line[1][-4:], 16), int(line[2][-4:], 16), line[3], f"socket:[{line[9]}]") for line in lines}


def connections(pid: int, port: int) -> set[Socket]:
    """Return a process's connections to a local port."""
    held = set(open_files(pid).values())
    return {each for each in sockets() if each.port == port and each.state == CONNECTED and each.name in held}


def accepts(pid: int, port: int) -> bool:
    """Return whether a process listens on a local port; a worker is up then."""
    listeners = {each.name for each in sockets() if each.port == port and each.state == LISTENS}
    files = open_files(pid)
    listening = {number for number, name in files.items() if name in listeners}
    watched = set[str]()
    for number, name in files.items():
        if name == "anon_inode:[eventpoll]":
            with suppress(OSError):
                watched |= set(re.findall(r"tfd: +(\d+)", Path(f"/proc/{pid}/fdinfo/{number}").read_text()))
    return bool(watched & listening)
