"""Test sessions: what is remembered, for how long, and what works while the gateway is down."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from support.processes import Service
from support.settings import environment
from support.theeye import ACME, BETA, JOB, HalfBody, Html, Redirect, Reply, Reset, Silence, Stack, StandIn
from support.theeye import Session as Known

from app.errors import Forbidden, Unauthorized, UpstreamFailed
from app.settings import Settings
from app.theeye import sessions as module
from app.theeye.callers import Caller, Session
from app.theeye.gateway import Gateway
from app.theeye.sessions import Sessions

ADA = Session(ACME.user_id, ACME.customer_id, "acme")
BOB = Session(BETA.user_id, BETA.customer_id, "beta")
TTL = 30.0


@dataclass
class Clock:
    """Run a clock that a test sets."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "monotonic", clock)
    return clock


def get(sessions: Sessions, token: str = "tok-acme", customer: str = "acme") -> Session:
    return sessions.get(Caller(customer, token))


@contextmanager
def remembering(theeye: StandIn, ttl: float) -> Iterator[Sessions]:
    gateway = Gateway(Settings(gateway_url=theeye.url))
    with closing(gateway.transport):
        yield Sessions(gateway, ttl)


@pytest.fixture
def sessions(theeye: StandIn) -> Iterator[Sessions]:
    with remembering(theeye, TTL) as sessions:
        yield sessions


def asked(theeye: StandIn) -> list[str]:
    """Return the tokens for which the gateway was called."""
    return [call.headers["authorization"].removeprefix("Bearer ") for call in theeye.calls_of("profile")]


# -- how long it is remembered ------------------------------------------------------------------------------


def test_a_session_is_remembered_for_its_time(theeye: StandIn, sessions: Sessions, clock: Clock) -> None:
    for elapsed, calls in ((0, 1), (TTL - 0.1, 1), (0.1, 2), (TTL - 0.1, 2), (TTL, 3)):
        clock.now += elapsed
        assert get(sessions) == ADA
        assert len(asked(theeye)) == calls


def test_use_does_not_make_it_last_longer(theeye: StandIn, sessions: Sessions, clock: Clock) -> None:
    for _ in range(10):
        get(sessions)
        clock.now += TTL / 5
    assert len(asked(theeye)) == 2


def test_without_a_time_nothing_is_remembered(theeye: StandIn) -> None:
    with remembering(theeye, 0) as sessions:
        for _ in range(3):
            assert get(sessions) == ADA
        assert len(asked(theeye)) == 3
        theeye.fault("profile", Stack(500))
        with pytest.raises(UpstreamFailed):
            get(sessions)


def test_the_longest_unused_goes_first(theeye: StandIn, sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SESSIONS", 3)
    for token in "abcd":
        theeye.tokens[token] = ACME
    for token in "abcad":  # b has not been used for longest when d comes
        get(sessions, token)
    assert asked(theeye) == ["a", "b", "c", "d"]
    for token in "cad":
        get(sessions, token)
    assert asked(theeye) == ["a", "b", "c", "d"]
    get(sessions, "b")
    assert asked(theeye) == ["a", "b", "c", "d", "b"]


def test_a_forgotten_session_is_asked_about_again(theeye: StandIn, sessions: Sessions) -> None:
    theeye.tokens["tok-2"] = ACME
    get(sessions)
    get(sessions, "tok-2")
    sessions.forget("tok-acme")
    sessions.forget("never seen")
    get(sessions, "tok-2")
    assert len(asked(theeye)) == 2
    get(sessions)
    assert asked(theeye) == ["tok-acme", "tok-2", "tok-acme"]


# -- what the gateway says ------------------------------------------------------------------------------------


def test_it_is_asked_for_two_scopes_and_never_for_the_one_that_hangs(theeye: StandIn, sessions: Sessions) -> None:
    get(sessions)
    call = theeye.calls_of("profile")[0]
    assert call.query == [("scopes[]", "principal"), ("scopes[]", "organization")]
    assert "tok-acme" not in call.target
    theeye.knows_scopes = False
    sessions.forget("tok-acme")
    assert get(sessions) == ADA, "an old gateway says the same in its long form"


@pytest.mark.parametrize("customer", ["acme", ACME.customer_id])
def test_a_customer_is_known_by_name_and_id(customer: str, sessions: Sessions) -> None:
    assert get(sessions, "tok-acme", customer) == ADA


@pytest.mark.parametrize("customer", ["beta", BETA.customer_id, "ACME", "Acme", "acme ", "", "acme/"])
def test_another_customer_is_forbidden(customer: str, theeye: StandIn, sessions: Sessions) -> None:
    for _ in range(2):
        with pytest.raises(Forbidden):
            get(sessions, "tok-acme", customer)
    assert len(asked(theeye)) == 1, "whose session it is was clear"


def test_an_unknown_token_is_unauthorized_and_not_remembered(theeye: StandIn, sessions: Sessions) -> None:
    with pytest.raises(Unauthorized):
        get(sessions, "tok-new")
    theeye.tokens["tok-new"] = ACME
    assert get(sessions, "tok-new") == ADA


NONSENSE: list[Any] = [
    *({}, [], None, "acme", 5),
    {"principal": {"id": "u"}},
    *({"principal": {"id": "u"}, "organization": of} for of in (None, {"id": "c"}, {"id": "c", "name": ""})),
    {"principal": {"id": 7}, "organization": {"id": "c", "name": "acme"}},
    {"principal": {"id": "u"}, "organization": {"id": "c", "name": ["acme"]}},
    {"principal": "u", "organization": "acme"},
    {"id": "u", "current_customer": None},
    {"id": "u", "current_customer": []},
]


@pytest.mark.parametrize("profile", NONSENSE, ids=repr)
def test_an_answer_that_is_no_session_is_a_failure(profile: Any, theeye: StandIn, sessions: Sessions) -> None:
    theeye.fault("profile", Reply(200, profile), times=1)
    with pytest.raises(UpstreamFailed, match="not a session") as caught:
        get(sessions)
    assert (caught.value.status, caught.value.code) == (502, "EGATEWAY")
    assert get(sessions) == ADA, "and it is asked again"


# -- while it is down -----------------------------------------------------------------------------------------

DOWN: dict[str, Callable[[StandIn], None]] = {
    "refused": StandIn.stop,
    "500": lambda theeye: theeye.fault("profile", Stack(500)),
    "a proxy's page": lambda theeye: theeye.fault("profile", Html(503)),
    "a page with 200": lambda theeye: theeye.fault("profile", Html(200)),
    "404": lambda theeye: theeye.fault("profile", Reply(404, "Not Found")),
    "redirect": lambda theeye: theeye.fault("profile", Redirect("/login")),
    "reset": lambda theeye: theeye.fault("profile", Reset()),
    "half": lambda theeye: theeye.fault("profile", HalfBody()),
    "silence": lambda theeye: theeye.fault("profile", Silence()),
}


@pytest.mark.parametrize("down", DOWN.values(), ids=DOWN.keys())
def test_known_sessions_go_on_while_the_gateway_is_down(
    down: Callable[[StandIn], None], theeye: StandIn, sessions: Sessions, clock: Clock
) -> None:
    get(sessions)
    sessions._gateway._call_timeout = 0.5  # from now on: a busy machine may take longer for an answer
    down(theeye)
    assert get(sessions) == ADA
    clock.now += 100 * TTL
    assert get(sessions) == ADA
    with pytest.raises(Forbidden):
        get(sessions, "tok-acme", "beta")
    with pytest.raises(UpstreamFailed) as caught:
        get(sessions, "tok-beta", "beta")
    assert (caught.value.status, caught.value.code) == (502, "EGATEWAY")
    assert "tok-beta" not in caught.value.message


def test_a_session_that_was_refused_does_not_go_on(theeye: StandIn, sessions: Sessions, clock: Clock) -> None:
    get(sessions)
    del theeye.tokens["tok-acme"]
    clock.now += TTL
    with pytest.raises(Unauthorized):
        get(sessions)
    theeye.fault("profile", Stack(500))
    with pytest.raises(UpstreamFailed):
        get(sessions)


def test_a_gateway_that_is_down_is_asked_once_in_a_while(theeye: StandIn, sessions: Sessions, clock: Clock) -> None:
    get(sessions)
    clock.now += TTL
    theeye.fault("profile", Stack(500), times=1)
    get(sessions)
    theeye.tokens["tok-acme"] = Known("5e0000000000000000000009", "moved")
    clock.now += module.RETRY_SECONDS - 0.1
    assert get(sessions) == ADA
    assert len(asked(theeye)) == 2
    clock.now += 0.1
    assert get(sessions, "tok-acme", "moved").customer == "moved"
    assert module.RETRY_SECONDS <= 10


# -- two tokens -----------------------------------------------------------------------------------------------


def test_two_tokens_never_share_a_session(theeye: StandIn, sessions: Sessions) -> None:
    theeye.tokens |= {"TOK-ACME": BETA, "tok-acme2": BETA, "tok-acm": BETA}
    for _ in range(2):
        assert get(sessions) == ADA
        for token in ("tok-beta", "TOK-ACME", "tok-acme2", "tok-acm"):
            assert get(sessions, token, "beta") == BOB
            with pytest.raises(Forbidden):
                get(sessions, token)
    assert len(asked(theeye)) == 5


def test_sessions_asked_for_at_once_are_not_mixed_up(theeye: StandIn, sessions: Sessions) -> None:
    theeye.tokens |= {f"t{number}": Known(f"id-{number % 20}", f"c-{number % 20}") for number in range(40)}

    def customer(number: int) -> str:
        return get(sessions, f"t{number % 40}", f"c-{number % 20}").customer

    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(customer, range(200))) == [f"c-{number % 20}" for number in range(200)]


# -- on the real service ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def apart() -> Iterator[tuple[StandIn, StandIn, Service]]:
    """Run a gateway and a supervisor that can fail separately, and the service in front of them."""
    with StandIn() as gateway, StandIn() as supervisor:
        env = environment(supervisor, gateway_url=gateway.url, session_ttl=0.01)
        with Service(env, "gthread") as service:
            yield gateway, supervisor, service


def post(service: Service, token: str) -> tuple[int, str]:
    got = service.ask("POST", JOB, Authorization=f"Bearer {token}")
    return got.status, got.json()["code"] if got.status == 502 else ""


def test_the_service_goes_on_for_known_tokens(apart: tuple[StandIn, StandIn, Service]) -> None:
    gateway, supervisor, service = apart
    gateway.tokens["tok-new"] = supervisor.tokens["tok-new"] = ACME
    assert post(service, "tok-acme")[0] == 200
    gateway.stop()
    assert post(service, "tok-acme")[0] == 200
    assert post(service, "tok-new") == (502, "EGATEWAY")
    assert len(supervisor.calls_of("create")) == 2
    gateway.start()
    assert post(service, "tok-new")[0] == 200


def test_the_supervisors_refusal_ends_a_known_session(apart: tuple[StandIn, StandIn, Service]) -> None:
    gateway, supervisor, service = apart
    gateway.tokens["tok-old"] = supervisor.tokens["tok-old"] = ACME
    assert post(service, "tok-old")[0] == 200
    del supervisor.tokens["tok-old"]
    gateway.stop()
    assert post(service, "tok-old")[0] == 401
    assert post(service, "tok-old")[0] == 502, "it is no longer known"
    gateway.start()
