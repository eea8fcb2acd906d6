"""Test reservations of idempotency keys: which request may create the job, and what the others get."""

from concurrent.futures import ThreadPoolExecutor
from time import monotonic, time
from uuid import uuid4

import pytest
from support.processes import Redis

from app.errors import BadRequest, KeysUnavailable, RunUnknown, StillStarting
from app.runs import idempotency
from app.runs.idempotency import Key, Keys, Reservation, read_key
from app.runs.redis_scripts import RedisScripts
from app.theeye.callers import Runnable, Session

SESSION = Session("user", "customer", "acme")


def test_quotes_are_part_of_the_headers_form_and_not_of_the_key() -> None:
    assert read_key('"abc"', SESSION, Runnable(), "", None) == read_key("abc", SESSION, Runnable(), "", None)
    assert read_key(None, SESSION, Runnable(), "", None) is None
    with pytest.raises(BadRequest):
        read_key("se\xf1al", SESSION, Runnable(), "", None)


@pytest.fixture
def scripts(redis_server: Redis) -> RedisScripts:
    return RedisScripts(redis_server.url)


@pytest.fixture
def keys(scripts: RedisScripts) -> Keys:
    return Keys(scripts, 3)


@pytest.fixture
def key() -> Key:
    return Key(f"test:{uuid4()}", "f")


def reserved(keys: Keys, key: Key, seconds: float = 60) -> Reservation:
    found = keys.reserve(key, seconds, lambda: 5.0)
    assert isinstance(found, Reservation)
    return found


def test_a_reservation_that_its_process_did_not_survive(keys: Keys, key: Key) -> None:
    reserved(keys, key, 0.3).creating()
    with pytest.raises(RunUnknown):
        keys.reserve(key, 0.3, lambda: 5.0)


@pytest.mark.parametrize("renews", [False, True])
def test_a_reservation_left_before_its_create_is_taken_over(
    renews: bool, keys: Keys, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A frozen Redis may carry out a command later that its caller has given up."""
    monkeypatch.setattr(idempotency, "RENEW_SECONDS", 0.0)
    ghost = reserved(keys, key, 0.0 if renews else 0.3)
    heir = reserved(keys, key)
    if renews:
        ghost.renew()
    with pytest.raises(KeysUnavailable):
        ghost.creating()
    heir.creating()


def test_a_request_that_queues_keeps_its_key(
    keys: Keys, key: Key, redis_server: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "RENEW_SECONDS", 0.0)
    first = reserved(keys, key, 0.3)
    first.renew()
    [until] = redis_server.client().hmget(key.record, "until")
    assert int(until) / 1000 > time() + 5, "for another ten seconds"
    with pytest.raises(StillStarting):  # it lasts longer than this caller can wait
        keys.reserve(key, 60, lambda: 0.0)
    first.creating()


def test_a_second_request_waits_for_the_firsts_job_id(keys: Keys, key: Key) -> None:
    first = reserved(keys, key)
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(keys.reserve, key, 60, lambda: 5.0)
        first.confirm("j1")
        assert second.result(10) == "j1"


def test_redis_down_is_said_before_anything_is_started(key: Key) -> None:
    with pytest.raises(KeysUnavailable):
        Keys(RedisScripts("redis://127.0.0.1:1"), 3).reserve(key, 60, lambda: 5.0)


def test_a_redis_that_forgot_the_record_is_told_again(keys: Keys, key: Key, redis_server: Redis) -> None:
    first = reserved(keys, key)
    first.creating()
    redis_server.client().delete(key.record)
    first.confirm("j1")
    assert keys.reserve(key, 60, lambda: 5.0) == "j1"
    assert redis_server.client().ttl(key.record) > 23 * 3600


def test_a_failure_of_another_request_does_not_lose_the_job_id(keys: Keys, key: Key, scripts: RedisScripts) -> None:
    first = reserved(keys, key)
    first.creating()
    scripts._skip_until = monotonic() + 60  # as after a failure a moment ago
    first.confirm("j1")
    scripts._skip_until = 0
    assert keys.reserve(key, 60, lambda: 5.0) == "j1"


def test_a_step_that_redis_carries_out_late_reserves_nothing(keys: Keys, key: Key, redis_server: Redis) -> None:
    first = reserved(keys, key)
    first._reserved_ms -= 10_000
    with pytest.raises(KeysUnavailable):
        first.creating()
    assert redis_server.client().hget(key.record, "creating") is None
