"""Define fixtures: the service with JSON logs, and a logger as in a fresh process."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from support.logs import LoggedService, serve
from support.theeye import StandIn


@pytest.fixture(scope="module", params=["gevent", "gthread"])
def logged_service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoggedService]:
    home = tmp_path_factory.mktemp("logs")
    with StandIn() as theeye, serve(theeye, home, request.param, "json") as service:
        yield LoggedService(service, theeye, home / "errors")


@pytest.fixture
def logged(logged_service: LoggedService) -> LoggedService:
    logged_service.theeye.heal()
    logged_service.theeye.task(output=['{"a":1}'])
    return logged_service


@pytest.fixture
def ours() -> Iterator[logging.Logger]:
    """Yield the service's logger; undo the changes of a test."""
    logger = logging.getLogger("theeye_sync")
    before, propagate = list(logger.handlers), logger.propagate
    logger.handlers = []
    yield logger
    logger.handlers, logger.propagate = before, propagate


@pytest.fixture(autouse=True)
def _undone(ours: logging.Logger) -> None:
    """Give every test here a logger as in a fresh process."""
