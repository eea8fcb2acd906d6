"""Test the checks of plugins, open files and extras on this machine."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest
from support.checks import check, finding, lines, only
from support.processes import CHECKOUT, clean_environment
from support.settings import environment
from support.theeye import StandIn

from app.checks import machine
from app.settings import Settings


def test_plugins(tmp_path: Path, theeye: StandIn) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("raise RuntimeError('no licence')\n")
    status, output = check(
        **environment(theeye), SYNC_PLUGINS=str(broken), SYNC_DISABLED_FORMATTERS="full,fulll,output"
    )
    assert status == 1
    failed, first, second, modes = lines(output, "plugins")
    assert failed.startswith(f"FAIL plugins broken ({broken}) is not loaded: RuntimeError: no licence")
    assert "names fulll, which has no effect" in first
    assert "names output, which has no effect" in second
    assert modes == "ok plugins modes: result, response, parse, output"
    said = finding("plugins", 0, **environment(theeye), SYNC_PLUGINS=str(broken), SYNC_DISABLED_FORMATTERS="broken")
    assert said == "ok plugins modes: result, full, response, parse, output"


def test_a_mode_that_is_disabled_by_its_own_name(tmp_path: Path, theeye: StandIn) -> None:
    plugin = tmp_path / "shouting.py"
    plugin.write_text(
        "from formatters import Answer, Formatter, hookimpl\n"
        "class Shout(Formatter):\n"
        "    name = 'shout'\n"
        "    queries = ('shout',)\n"
        "    precedence = 150\n"
        "    def format(self, context):\n"
        "        return Answer('HEY', context.status)\n"
        "@hookimpl\n"
        "def register_formatters():\n"
        "    return [Shout()]\n"
    )
    environ = environment(theeye) | {"SYNC_PLUGINS": str(plugin)}
    assert finding("plugins", 0, **environ).endswith(f"parse, shout ({plugin}), output")
    said = finding("plugins", 0, **environ, SYNC_DISABLED_FORMATTERS="shout")
    assert said == "ok plugins modes: result, full, response, parse, output"


@pytest.mark.parametrize(
    ("limit", "places", "advice"),
    [(4000, "1000", ", or lower SYNC_MAX_WAITING to 848"), (256, "1000", "Docker: --ulimit nofile)")],
)
def test_too_few_open_files(limit: int, places: str, advice: str, theeye: StandIn) -> None:
    def limited(places: str) -> subprocess.CompletedProcess[str]:
        environ = clean_environment() | environment(theeye) | {"SYNC_MAX_WAITING": places}
        return subprocess.run(
            [sys.executable, "-m", "app", "check"],
            env=environ,
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            timeout=30,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit)),
        )

    ran = limited(places)
    assert ran.returncode == 1
    line = only(ran.stdout, "files")
    needed = Settings(max_waiting=int(places)).open_files
    assert line.startswith(
        f"FAIL files the limit is {limit} open files, but each worker can need {needed}. Raise the hard"
    )
    assert line.endswith(advice)
    if "lower" in advice:
        assert limited(advice.rpartition(" ")[2]).returncode == 0, "the number that it names is enough"


def test_extras_that_are_missing(theeye: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "find_spec", lambda _: None)
    monkeypatch.setattr(machine, "version", lambda _: "0.6.9")
    status, output = check(**environment(theeye))
    assert status == 0
    said = lines(output, "extras")
    assert [line.rpartition("[")[2] for line in said] == ["gevent]'", "fast]'", "redis]'", "metrics]'"]
    assert all(line.startswith("warn extras no ") for line in said)
    monkeypatch.setattr(machine, "find_spec", lambda name: None if name == "hiredis" else name)
    monkeypatch.setattr(machine, "version", lambda _: "0.6.10")
    assert finding("extras", 0, **environment(theeye)).startswith("warn extras no hiredis")
