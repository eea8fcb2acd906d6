"""Test the CPU quota, on trees of files as real systems have them."""

from pathlib import Path

import pytest

from app import cpus

V2 = "29 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"
V1 = "33 25 0:28 {} /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct"
ODD = "odd\n40 23 0:9 / - cgroup2\n40 23 0:9 / /mnt/\x85a\x0c\rb\u2028c rw - ext4 /dev/vdb rw"
MEMORY = "34 25 0:29 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory"
ROOT = "23 1 0:20 / / rw,relatime shared:1 - ext4 /dev/vda1 rw"


def tree(root: Path, groups: str, *mounts: str, **files: str) -> Path:
    """Make a system: this process's groups, its mounts, and files below /sys/fs/cgroup (`__` means a slash)."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(groups)
    (root / "proc/self/mountinfo").write_text("\n".join([ROOT, *mounts, ""]))
    for name, text in files.items():
        file = root / "sys/fs/cgroup" / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"cpu.max": "150000 100000\n"}, 1.5),  # a container with a namespace of its own
        ({"cpu.max": "max 100000\n"}, None),
        ({"pod__cpu.max": "50000 100000\n", "pod__box__cpu.max": "max 100000\n"}, 0.5),
        ({"pod__cpu.max": "400000 100000\n", "pod__box__cpu.max": "20000 10000\n"}, 2),
        ({"pod__cpu.max": "100000 100000\n", "pod__box__cpu.max": "200000 100000\n"}, 1),
        ({"other__cpu.max": "100000 100000\n"}, None),  # not on the way up
        ({"cpu.max": "50000\n"}, None),
        ({"cpu.max": "50000 0\n"}, None),
        ({"cpu.max": f"{'9' * 400} 1\n"}, None),
        ({"cpu.max": ""}, None),
        ({}, None),
    ],
)
def test_version_2(tmp_path: Path, files: dict[str, str], quota: float | None) -> None:
    assert cpus.quota(tree(tmp_path, "odd\n0::/pod/box\n", ODD, V2, **files)) == quota


@pytest.mark.parametrize(
    ("group", "top", "folder", "quota"),
    [
        ("/docker/abc", "/", "docker/abc/", 2.5),  # on the host
        ("/docker/abc", "/docker/abc", "", 2.5),  # in a container that shares the host's namespace
        ("/", "/", "", 2.5),
        ("/../other", "/", "", 2.5),  # a group that cannot be seen from here
        ("/docker/abc", "/", "docker/", 2.5),
        ("/docker/abc", "/", "docker/abc/below/", None),
    ],
)
def test_version_1(tmp_path: Path, group: str, top: str, folder: str, quota: float | None) -> None:
    groups = f"4:memory:/elsewhere\n3:cpu,cpuacct:{group}\n1:name=systemd:/x\n0::/unified\n"
    root = tree(tmp_path, groups, MEMORY, V1.format(top))
    where = root / "sys/fs/cgroup/cpu,cpuacct" / folder
    where.mkdir(parents=True)
    (where / "cpu.cfs_period_us").write_text("100000\n")
    (where / "cpu.cfs_quota_us").write_text("250000\n")
    assert cpus.quota(root) == quota
    (where / "cpu.cfs_quota_us").write_text("-1\n")
    assert cpus.quota(root) is None


def test_a_system_without_control_groups_has_no_quota(tmp_path: Path) -> None:
    assert cpus.quota(tmp_path) is None


@pytest.mark.parametrize(
    ("quota", "usable"), [(None, 4), (0.1, 1), (0.99, 1), (1, 1), (1.5, 1), (2, 2), (2.9, 2), (64, 4)]
)
def test_a_process_for_each_whole_core(monkeypatch: pytest.MonkeyPatch, quota: float | None, usable: int) -> None:
    monkeypatch.setattr(cpus, "allowed", lambda: 4)
    monkeypatch.setattr(cpus, "quota", lambda: quota)
    assert cpus.usable() == usable
