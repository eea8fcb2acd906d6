"""Test that `make bench` measures what it says; speed is not judged here."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.proc import children
from support.processes import CHECKOUT, need, run_python, wait_until

from benchmarks import document
from benchmarks.figures import Figure, comparison, medians, table
from benchmarks.rounds import in_turn

HEADINGS = ["row", "worker", "figure", "service", "floor", "ratio", "today", "to", "reach"]
ROWS = [
    "warm request",
    "throughput, 4",
    "one at a time",
    "workflow of two steps",
    "outputs",
    "parked, 20",
    "watched, 20",
    "with 2 waiting",
    "with 20 waiting",
]
COUNTED = {"wrong answers": 0, "answered": 20, "Redis commands a request": 0}
BENCH = ["-m", "benchmarks", "--quick", "--worker", "gevent"]


def test_a_quick_run_has_all_rows(tmp_path: Path) -> None:
    need("redis-server", "redis-server")
    out = tmp_path / "results.json"
    ran = run_python(*BENCH, "--out", str(out))
    head, _, table = ran.stdout.partition("\n\n")
    lines = table.splitlines()
    assert "gunicorn workers: 2" in head
    assert lines[0].split() == HEADINGS
    found = json.loads(out.read_text())
    assert found["machine"]["cores"] >= 1
    assert list(dict.fromkeys(figure["row"] for figure in found["figures"])) == ROWS
    assert len(lines) == len(found["figures"]) + 1
    for figure in found["figures"]:
        assert figure["service"] == COUNTED.get(figure["name"], figure["service"]), figure
        assert figure["service"] > 0 or figure["name"] not in ("requests/s", "CPU ms a request"), figure


@pytest.mark.skipif(not (CHECKOUT / ".git").exists() or not shutil.which("git"), reason="there is no other commit here")
def test_another_commit_is_measured_in_turn(tmp_path: Path) -> None:
    need("redis-server", "redis-server")
    out = tmp_path / "results.json"
    options = ["--against", "HEAD", "--only", "warm", "--rounds", "2", "--out", str(out)]
    ran = run_python(*BENCH, *options)
    head, _, table = ran.stdout.partition("\n\n")
    assert "rounds: 2\nbefore: " in head
    assert table.splitlines()[0].split()[3:6] == ["before", "after", "after/before"]
    found = json.loads(out.read_text())
    for side in ("before", "figures"):
        assert [figure["row"] for figure in found[side]] == ["warm request"] * 3
        assert found[side][0]["name"] == "requests"
        assert found[side][0]["service"] > 0


def test_a_commit_that_is_not_there_is_refused() -> None:
    assert "no commit 'nowhere'" in run_python(*BENCH, "--against", "nowhere", status=2).stderr


def test_ctrl_c_ends_all_processes() -> None:
    need("redis-server", "redis-server")
    pipe, command = subprocess.PIPE, [sys.executable, *BENCH, "--serve"]
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=pipe, stderr=pipe, text=True) as bench:
        assert bench.stdout
        assert "workers [" in bench.stdout.readline()
        started = descendants(bench.pid)
        bench.send_signal(signal.SIGINT)
        assert bench.wait(60) == 130
    assert len(started) >= 5  # Redis, TheEye, gunicorn and its two workers
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in started), 40, "the end of all processes")


def test_goals() -> None:
    figure = Figure("a row", "gevent", "ms", 3.0, floor=1.5)
    assert figure.ratio == 2
    assert [figure.at_most(3).reached, figure.at_most(2.9).reached] == [True, False]
    assert [figure.at_least(3).reached, figure.at_least(3.1).reached] == [True, False]
    assert [figure.at_most_times(2, 1.5, "").reached, figure.at_most_times(1.9, 1.5, "").reached] == [True, False]
    assert figure.at_most_times(2, None, "what was not measured").reached is None
    assert table([figure.at_most(2), figure]).splitlines()[1].split()[-1] == "MISSED"


def test_both_sides_see_the_same_minutes_of_the_machine() -> None:
    order: list[str] = []

    def side(name: str) -> list[Figure]:
        order.append(name)
        return [Figure("a row", "gevent", "ms", float(len(order)))]

    found = in_turn(3, [lambda: side("before"), lambda: side("after")])
    assert order == ["before", "after", "after", "before", "before", "after"]
    assert [[figure.service for figure in one] for one in found] == [[4], [3]]


def test_medians() -> None:
    rounds = [[Figure("a row", "gevent", "ms", value, floor=1).at_most_times(2, value, "")] for value in (3, 9, 4)]
    assert [(one.service, one.floor, one.today, one.most) for one in medians(rounds)] == [(4, 1, None, 8)]


def test_comparison() -> None:
    before, after = Figure("a row", "gevent", "ms", 2.0, floor=1.0), Figure("a row", "gevent", "ms", 3.0, floor=2.0)
    assert comparison([before], [after.at_most(2)]).splitlines()[1].split()[4:] == [
        *["2", "3", "1.5", "2", "1.5"],
        *["at", "most", "2", "MISSED"],
    ]


def test_the_table_of_the_document_has_both_sides() -> None:
    def side(cpu: float) -> list[dict[str, object]]:
        both = [
            Figure("throughput, 32", worker, "CPU ms a request", cpu, floor=0.25) for worker in ("gevent", "gthread")
        ]
        return [figure.as_json() for figure in [*both, Figure("parked, 1,000", "gevent", "answered", 1000)]]

    headings, _, *lines = document.table({"before": side(0.5), "after": side(1)}).splitlines()
    assert headings == "|  | gevent before | gevent after | gthread before | gthread after | floor | today | to reach |"
    (cpu,) = [line for line in lines if line.startswith("| CPU ms a request, 32 connections ")]
    assert cpu.split(" | ")[1:7] == ["0.5 (2.0 ×)", "1 (4.0 ×)", "0.5 (2.0 ×)", "1 (4.0 ×)", "0.25", ""]


def descendants(pid: int) -> list[int]:
    return [each for child in children(pid) for each in (child, *descendants(child))]
