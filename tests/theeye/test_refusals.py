"""Test refusals by TheEye or a proxy in front of it: they are passed on, and a lost session is read again."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from support.client import RUN, error_of
from support.theeye import JOB, Html, Reply
from support.world import World

FAILED = {"message": "authentication failed", "statusCode": 500, "stack": "Error: authentication failed\n    at x"}
NO_MEMBER = {"message": "Cannot read properties of undefined (reading 'id')", "statusCode": 500, "stack": "at y"}
DATE = "Wed, 21 Oct 2026 07:28:00 GMT"


def html(status: int, **headers: str) -> Reply:
    return Reply(status, Html(status).body, {name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.parametrize("kind", ["profile", "task", "create"])
@pytest.mark.parametrize(
    ("fault", "status", "retry_after"),
    [
        (html(429, Retry_After="7"), 429, "7"),
        (html(429), 429, None),
        (Reply(429, {"message": "slowly"}, {"Retry-After": DATE}), 429, DATE),
        (html(503, Retry_After="120"), 503, "120"),
        (html(429, Retry_After="<script>"), 429, None),
    ],
)
def test_too_busy_is_what_it_is(fault: Reply, status: int, retry_after: str | None, kind: str, world: World) -> None:
    target = f"/acme/task/{'0' * 23}1/job" if kind == "task" else JOB  # one that is not known yet
    world.theeye.task(target.split("/")[3])
    if kind == "profile":
        world.theeye.tokens["tok-new"] = world.theeye.tokens["tok-acme"]
    world.theeye.fault(kind, fault, times=1)
    with world.calls() as calls:
        got = world.ask("POST", target, "tok-new" if kind == "profile" else "tok-acme", RUN)
    error = error_of(got, status, "")
    assert got.headers.get("Retry-After") == retry_after
    assert "<" not in got.get_data(as_text=True)
    assert error.get("value") == (None if isinstance(fault.body, bytes) or kind == "profile" else fault.body)
    assert not [call for call in calls if call.kind == "create"] or kind == "create"


@pytest.mark.parametrize(
    ("kind", "status"), [("create", 403), ("create", 404), ("create", 413), ("profile", 403), ("profile", 413)]
)
def test_a_proxys_page_keeps_its_status(kind: str, status: int, world: World) -> None:
    world.theeye.fault(kind, html(status, Retry_After="60"), times=1)
    got = world.ask("POST", JOB, "tok-new" if kind == "profile" else "tok-acme", RUN)
    assert error_of(got, status, "")["message"] == f"Refused before TheEye, with status {status}"
    assert got.headers["Retry-After"] == "60"
    assert "<" not in got.get_data(as_text=True)


@pytest.mark.settings(session_ttl=0.001)
def test_a_proxy_before_the_gateway_ends_no_session_that_is_known(world: World) -> None:
    world.theeye.fault("profile", html(403), times=1)
    assert world.post().status_code == 200


def test_a_503_without_a_time_to_come_again_is_a_failure(world: World) -> None:
    world.theeye.fault("create", html(503), times=1)
    assert "may have started" in error_of(world.post(), 502, "ESUPERVISOR")["message"]


@pytest.mark.parametrize(("method", "kind"), [("GET", "read"), ("DELETE", "read"), ("DELETE", "cancel")])
def test_too_busy_to_show_or_cancel_a_job_is_told_at_once(method: str, kind: str, world: World) -> None:
    job_id = world.start()
    world.theeye.fault(kind, html(429, Retry_After="30"), times=1)
    got = world.ask(method, f"{JOB}/{job_id}")
    assert error_of(got, 429, "")["job"]["id"] == job_id
    assert got.headers["Retry-After"] == "30"


def test_a_look_that_is_refused_for_a_while_ends_no_wait(world: World) -> None:
    world.theeye.fault("lifecycle", html(429, Retry_After="30"), times=1)
    world.theeye.fault("read", html(503, Retry_After="30"), times=2)
    assert world.post().status_code == 200


@pytest.mark.parametrize("kind", ["create", "read", "lifecycle"])
def test_a_member_who_was_removed_has_no_session(kind: str, world: World) -> None:
    """A real TheEye answers so: its supervisor calls the gateway, which fails for a session without a member."""
    world.theeye.fault(kind, Reply(500, FAILED))
    world.theeye.fault("profile", Reply(500, NO_MEMBER))
    before = len(world.theeye.jobs)
    for _ in range(2):
        with world.calls() as calls:
            got = world.post()
        assert (got.status_code, got.data) == (401, b'"Unauthorized"')
        assert ("X-Job-Id" in got.headers) == (len(world.theeye.jobs) > before)
        before = len(world.theeye.jobs)
    assert [call.kind for call in calls] == ["profile"], "the session was forgotten"


@pytest.mark.settings(session_ttl=0.001)
@pytest.mark.parametrize("message", ["authentication failed", "No Members", "Invalid Session", NO_MEMBER["message"]])
def test_a_gateway_that_knows_no_member_ends_a_remembered_session(message: str, world: World) -> None:
    world.theeye.fault("profile", Reply(500, {"message": message}))
    assert world.post().status_code == 401
    world.theeye.heal()
    world.theeye.fault("profile", Reply(500, {"message": "MongoNetworkError"}))
    error_of(world.post(), 502, "EGATEWAY")


def test_another_bug_of_the_supervisors_is_no_lost_session(world: World) -> None:
    world.theeye.fault("create", Reply(500, NO_MEMBER), times=1)
    assert "may have started" in error_of(world.post(), 502, "ESUPERVISOR")["message"]


def test_a_session_that_theeye_calls_anothers_is_asked_about_again(world: World) -> None:
    world.theeye.fault("create", Reply(409, {"message": "session of another organization"}), times=1)
    assert world.post().status_code == 409
    with world.calls() as calls:
        assert world.post().status_code == 200
    assert calls[0].kind == "profile"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_viewer_who_may_not_see_the_lifecycle_gets_the_document(method: str, world: World) -> None:
    world.theeye.fault("lifecycle", Reply(403, {"message": "Forbidden", "stack": "x"}))
    job_id, looks = world.start(), len(world.theeye.calls_of("lifecycle"))
    with world.calls() as calls, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(world.post) if method == "POST" else pool.submit(world.get, job_id)
        world.theeye.wait_for_calls("lifecycle", looks + 1)
        world.theeye.finish()
        got = answer.result(30)
    assert (got.status_code, got.headers["X-Job-State"]) == (200, "success")
    assert [call.kind for call in calls].count("lifecycle") == 1


def test_a_document_that_theeye_refuses_is_403_with_the_jobs_id(world: World) -> None:
    """The task has `empty_viewers`: the create is allowed, but the job is not shown."""
    world.theeye.fault("read", Reply(403, {"message": "Forbidden", "stack": "x"}))
    job_id = world.start()
    world.theeye.task()
    for got in (world.post(), world.get(job_id), world.delete(job_id)):
        error = error_of(got, 403, "")
        assert (error["value"], error["job"]["id"]) == ({"message": "Forbidden"}, got.headers["X-Job-Id"])
