"""Fixtures: a real Redis for the session, a fresh TheEye for each test."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from support.processes import CERTIFICATES, Redis
from support.theeye import StandIn

os.environ["PYTHONUNBUFFERED"] = "1"  # the logs of subprocesses are read while they run
for _name in list(os.environ):  # the machine's own proxies and certificates are none of the tests'
    if _name.lower().endswith("_proxy") or _name in CERTIFICATES:
        del os.environ[_name]


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    with Redis() as server:
        yield server


@pytest.fixture
def theeye() -> Iterator[StandIn]:
    with StandIn() as standin:
        yield standin


@pytest.fixture
def theeye_redis(redis_server: Redis) -> Iterator[StandIn]:
    with StandIn(redis_url=redis_server.url) as standin:
        yield standin
