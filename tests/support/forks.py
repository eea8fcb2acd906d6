"""`pytest -p support.forks --forks N`: collect the tests once, and run them in N processes that are forked afterwards.

pytest-xdist collects in each of its processes, which takes a third of the CPU time of `make test-fast`. No maintained
plugin forks after the collection.
"""

import multiprocessing
from multiprocessing.connection import Connection, wait
from typing import Any

import pytest

BATCH = 16  # tests that one process runs in order: they share the fixtures of their file
FORK = multiprocessing.get_context("fork")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--forks", type=int, default=0, help="run the tests in so many processes")


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Run all tests in processes, and pass on their reports."""
    option = session.config.option
    if not option.forks or option.collectonly or session.testsfailed:
        return None
    left = FORK.Value("i", len(session.items))
    running = dict(_start(session, left) for _ in range(option.forks))
    died = []
    while running:
        for reports in wait(list(running)):
            assert isinstance(reports, Connection)
            try:
                session.config.hook.pytest_runtest_logreport(report=reports.recv())
            except EOFError:
                process = running.pop(reports)
                process.join()
                if process.exitcode:
                    died.append(process.exitcode)
    if died:
        raise RuntimeError(f"a process of the tests has ended with {died[0]}")
    return True


def _start(session: pytest.Session, left: Any) -> tuple[Connection, Any]:
    """Start a process; return the connection for its reports, and the process."""
    reports, sent = FORK.Pipe(duplex=False)
    process = FORK.Process(target=_run, args=(session, left, sent), daemon=True)
    process.start()
    sent.close()
    return reports, process


def _run(session: pytest.Session, left: Any, sent: Connection) -> None:
    """Run the next tests that no other process has taken, until there are none."""
    plugins = session.config.pluginmanager
    capture: Any = plugins.getplugin("capturemanager")
    capture.stop_global_capturing()  # it writes to a file that all processes would share
    capture.start_global_capturing()
    plugins.unregister(name="terminalreporter")
    plugins.register(Reports(sent))
    while batch := _take(session.items, left):
        for item, following in zip(batch, [*batch[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)


def _take(items: list[pytest.Item], left: Any) -> list[pytest.Item]:
    """Return the next tests, from the end of the list: `theeye` and `waiter` wait longest, so begin with them."""
    with left.get_lock():
        end = left.value
        left.value = max(end - BATCH, 0)
    return items[max(end - BATCH, 0) : end]


class Reports:
    """Send reports to the process that shows them."""

    def __init__(self, sent: Connection) -> None:
        self._sent = sent

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._sent.send(report)
