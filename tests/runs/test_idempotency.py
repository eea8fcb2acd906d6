"""Reservations of idempotency keys: who may create the job, and what becomes of the others."""

from concurrent.futures import ThreadPoolExecutor
from time import monotonic, time

import pytest
from support.processes import Redis

from app.errors import BadRequest, KeysUnavailable, RunUnknown, StillStarting
from app.runs import idempotency
from app.runs.idempotency import Key, Keys, Reservation, read_key
from app.runs.redis_scripts import RedisScripts
from app.theeye.client import Session

SESSION = Session("user", "customer", "acme")


def test_quotes_are_part_of_the_headers_form_and_not_of_the_key() -> None:
    assert read_key('"abc"', SESSION, "t", "", None) == read_key("abc", SESSION, "t", "", None)
    assert read_key(None, SESSION, "t", "", None) is None
    with pytest.raises(BadRequest):
        read_key("se\xf1al", SESSION, "t", "", None)


def test_a_reservation_that_its_process_did_not_survive(redis_server: Redis) -> None:
    keys, key = Keys(RedisScripts(redis_server.url), 3), Key("test:orphan", "f")
    first = keys.reserve(key, 0.3, lambda: 5.0)
    assert isinstance(first, Reservation)
    first.creating()
    with pytest.raises(RunUnknown):
        keys.reserve(key, 0.3, lambda: 5.0)


def test_a_reservation_left_before_its_create_is_taken_over(redis_server: Redis) -> None:
    """Redis may carry out, when it thaws, what its caller gave up on long ago."""
    keys, key = Keys(RedisScripts(redis_server.url), 3), Key("test:ghost", "f")
    ghost = keys.reserve(key, 0.3, lambda: 5.0)
    assert isinstance(ghost, Reservation)
    assert isinstance(keys.reserve(key, 60, lambda: 5.0), Reservation)
    with pytest.raises(KeysUnavailable):
        ghost.creating()


def test_a_request_that_queues_keeps_its_key(redis_server: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "RENEW_SECONDS", 0.0)
    keys, key = Keys(RedisScripts(redis_server.url), 3), Key("test:queues", "f")
    first = keys.reserve(key, 0.3, lambda: 5.0)
    assert isinstance(first, Reservation)
    first.renew()
    [until] = redis_server.client().hmget("test:queues", "until")
    assert int(until) / 1000 > time() + 5, "for another ten seconds"
    with pytest.raises(StillStarting):
        keys.reserve(key, 60, lambda: 0.0)
    first.creating()


def test_a_key_that_was_taken_over_is_not_renewed(redis_server: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "RENEW_SECONDS", 0.0)
    keys, key = Keys(RedisScripts(redis_server.url), 3), Key("test:late", "f")
    late = keys.reserve(key, 0.0, lambda: 5.0)
    heir = keys.reserve(key, 60, lambda: 5.0)
    assert isinstance(late, Reservation)
    assert isinstance(heir, Reservation)
    late.renew()
    with pytest.raises(KeysUnavailable):
        late.creating()
    heir.creating()


def test_a_reservation_that_lasts_longer_than_the_caller_can_wait(redis_server: Redis) -> None:
    keys, key = Keys(RedisScripts(redis_server.url), 3), Key("test:slow", "f")
    keys.reserve(key, 60, lambda: 5.0)
    with pytest.raises(StillStarting):
        keys.reserve(key, 60, lambda: 0.0)


def test_a_second_request_waits_for_the_firsts_job_id(redis_server: Redis) -> None:
    keys, key = Keys(RedisScripts(redis_server.url), 3), Key("test:waits", "f")
    first = keys.reserve(key, 60, lambda: 5.0)
    assert isinstance(first, Reservation)
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(keys.reserve, key, 60, lambda: 5.0)
        first.confirm("j1")
        assert second.result(10) == "j1"


def test_redis_down_is_said_before_anything_is_started() -> None:
    with pytest.raises(KeysUnavailable):
        Keys(RedisScripts("redis://127.0.0.1:1"), 3).reserve(Key("k", "f"), 60, lambda: 5.0)


def reserved(keys: Keys, key: Key) -> Reservation:
    found = keys.reserve(key, 60, lambda: 5.0)
    assert isinstance(found, Reservation)
    return found


def test_a_redis_that_forgot_the_record_is_told_again(redis_server: Redis) -> None:
    keys, key = Keys(RedisScripts(redis_server.url), 3), Key("test:forgotten", "f")
    first = reserved(keys, key)
    first.creating()
    redis_server.client().delete(key.record)
    first.confirm("j1")
    assert keys.reserve(key, 60, lambda: 5.0) == "j1"
    assert redis_server.client().ttl(key.record) > 23 * 3600


def test_a_failure_of_another_request_does_not_lose_the_job_id(redis_server: Redis) -> None:
    scripts = RedisScripts(redis_server.url)
    keys, key = Keys(scripts, 3), Key("test:breaker", "f")
    first = reserved(keys, key)
    first.creating()
    scripts._skip_until = monotonic() + 60  # as after a failure a moment ago
    first.confirm("j1")
    scripts._skip_until = 0
    assert keys.reserve(key, 60, lambda: 5.0) == "j1"


def test_a_step_that_redis_carries_out_late_reserves_nothing(redis_server: Redis) -> None:
    keys, key = Keys(RedisScripts(redis_server.url), 3), Key("test:step", "f")
    first = reserved(keys, key)
    first._reserved_ms -= 10_000
    with pytest.raises(KeysUnavailable):
        first.creating()
    assert redis_server.client().hget(key.record, "creating") is None
