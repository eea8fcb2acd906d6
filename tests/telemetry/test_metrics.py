"""Test the metrics: on a separate socket, the same from every process, with labels that no client can set."""

from __future__ import annotations

import gzip
import logging
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import Mock

import pytest
from prometheus_client.openmetrics.parser import text_fd_to_metric_families
from prometheus_client.parser import text_string_to_metric_families
from support.load import WORKERS
from support.processes import (
    CHECKOUT,
    RawResponse,
    Redis,
    Service,
    clean_environment,
    free_port,
    need,
    raw_request,
    read_response,
    request_bytes,
    run_python,
    wait_until,
)
from support.settings import environment
from support.theeye import JOB, TASK, CloseAfter, Reply, StandIn

from app import Settings, SettingsError, create_app, setting_readers
from app.telemetry import metrics_folder
from app.telemetry.metrics import outcome_of
from app.telemetry.metrics_socket import MetricsSocket
from app.telemetry.trace import Trace


@dataclass
class World:
    """Use the service with metrics, in front of a stand-in."""

    service: Service
    theeye: StandIn
    port: int

    def ask(self, method: str = "POST", target: str = JOB, **headers: str) -> int:
        return self.service.ask(method, target, **headers).status

    def metrics(self, method: str = "GET", target: str = "/metrics", **headers: str) -> RawResponse:
        return raw_request("127.0.0.1", self.port, request_bytes(method, target, **headers))

    def scrape(self) -> dict[str, float]:
        return samples(self.metrics())

    def wait_for(self, name: str, value: float) -> dict[str, float]:
        """Wait for a number: a request is counted a moment after it was answered."""
        wait_until(lambda: self.scrape().get(name) == value, 30, f"{name} {value}, {self.scrape().get(name)}")
        return self.scrape()


def samples(answer: RawResponse) -> dict[str, float]:
    """Return every number, as `name{label=value,...}`; parse the format strictly."""
    assert answer.status == 200
    assert (answer.header("Content-Type") or "").startswith("text/plain; version=")
    found = {}
    for family in text_string_to_metric_families(answer.body.decode()):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            name = f"{sample.name}{{{labels}}}" if labels else sample.name
            assert name not in found
            found[name] = sample.value
    return found


def of(found: dict[str, float], metric: str) -> dict[str, float]:
    """Return the numbers of one metric by their labels."""
    start = f"theeye_sync_{metric}{{"
    return {name[len(start) : -1]: value for name, value in found.items() if name.startswith(start)}


@contextmanager
def serving(theeye: StandIn, worker: str = "gevent", workers: int = 1, **env: str) -> Iterator[World]:
    port = free_port()
    env = environment(theeye, grace_seconds=1, metrics_bind=f"127.0.0.1:{port}") | env
    with Service(env, worker=worker, workers=workers) as service:
        yield World(service, theeye, port)


@pytest.fixture(params=WORKERS)
def world(request: pytest.FixtureRequest, theeye: StandIn) -> Iterator[World]:
    theeye.task(output=['{"statusCode":404}'])
    with serving(theeye, request.param) as world:
        yield world


def test_what_is_counted(world: World) -> None:
    theeye = world.theeye
    assert [world.ask(), world.ask(target=f"{JOB}?parse")] == [200, 404]
    theeye.task(state="failure")
    assert world.ask(target=f"{JOB}?full") == 500
    theeye.task(delay=None)
    assert world.ask(target=f"{JOB}?wait=0.1") == 504
    assert world.ask(Prefer="respond-async") == 202
    for fault, status in ((Reply(400, {"message": "no"}), 400), (CloseAfter(), 504), (Reply(500, {}), 502)):
        theeye.fault("create", fault, times=1)
        assert world.ask() == status
    assert world.ask(Authorization="Bearer nobody") == 401
    assert world.ask(target=f"/beta/task/{TASK}/job") == 403
    assert world.ask(Idempotency_Key="k") == 501
    assert world.ask("OPTIONS") == 204
    assert world.ask("GET", "/healthz") == 200
    theeye.stop()
    assert world.ask() == 502
    found = world.wait_for("theeye_sync_requests_total{mode=output,outcome=upstream_error}", 3)
    theeye.start()
    assert of(found, "requests_total") == {
        "mode=output,outcome=success": 1,
        "mode=parse,outcome=failure": 1,
        "mode=full,outcome=failure": 1,
        "mode=output,outcome=timeout": 1,
        "mode=output,outcome=accepted": 1,
        "mode=output,outcome=client_error": 1,
        "mode=output,outcome=upstream_error": 3,
        "mode=none,outcome=client_error": 2,
        "mode=output,outcome=refused": 1,
        "mode=none,outcome=success": 1,
    }
    assert of(found, "refused_total") == {"code=EORACC": 1, "code=ENOKEYS": 1}
    calls = of(found, "theeye_calls_total")
    expected = {"session,status=200": 1, "session,status=401": 1, "task,status=200": 1, "create,status=200": 5}
    expected |= {"create,status=400": 1, "create,status=500": 1, "create,status=lost": 1, "create,status=not_sent": 1}
    for name, value in expected.items():
        assert calls.pop(f"kind={name}") == value, name
    assert {name.partition(",")[0] for name in calls} <= {"kind=read", "kind=lifecycle"}
    assert found["theeye_sync_sessions_total{cache=hit}"] == 10
    assert found["theeye_sync_sessions_total{cache=miss}"] == 2
    assert found["theeye_sync_parked"] == 0
    assert found["theeye_sync_wait_seconds_count"] == 4
    assert 0.05 < found["theeye_sync_wait_seconds_sum"] < 5
    assert found["theeye_sync_overhead_seconds_count"] == 12
    assert found["theeye_sync_overhead_seconds_bucket{le=+Inf}"] == 12
    assert "theeye_sync_listener_up" not in found


def test_no_client_makes_labels_up(world: World) -> None:
    theeye = world.theeye
    asked = [("POST", JOB), ("PUT", JOB), ("POST", f"{JOB}?wait=x"), ("GET", "/x")]
    assert [world.ask(*each) for each in asked] == [200, 405, 400, 404]
    theeye.fault("create", Reply(418, {}), times=1)
    assert world.ask() == 418
    before = world.wait_for("theeye_sync_requests_total{mode=none,outcome=client_error}", 3).keys()
    for number in range(20):
        world.ask(f"M{number}", f"/p{number}?mode{number}&parse{number}=1", X_Request_Id=f"r-{number}")
        world.ask("POST", f"/c{number}/task/t{number}/job?m{number}")
        theeye.fault("create", Reply(430 + number, {}), times=1)
        world.ask("POST", f"{JOB}?m{number}", Accept=f"application/x{number}")
    after = world.wait_for("theeye_sync_requests_total{mode=output,outcome=client_error}", 21).keys()
    assert after - before <= {"theeye_sync_refused_total{code=EORACC}"}


def test_the_metrics_name_nobody(world: World) -> None:
    """They contain no tokens, customers, tasks, jobs, users, keys or paths: they only count."""
    for target in (JOB, f"{JOB}/", f"{JOB}?parse&access_token=tok-acme&wait=5", f"/beta/task/{TASK}/job?a=tok-acme"):
        token = {} if "access_token" not in target else {"Authorization": ""}
        world.ask(target=target, Idempotency_Key="tok-key", X_Request_Id="tok-id", traceparent="tok-acme", **token)
        world.ask(target=target, **token)
        world.ask("TOK-ACME", target)
    world.wait_for("theeye_sync_requests_total{mode=none,outcome=client_error}", 6)
    told = world.metrics().body.decode().lower()
    [job, *_] = world.theeye.jobs
    for secret in ("tok-", "acme", "beta", TASK, job):
        assert secret not in told


def test_the_socket_serves_metrics_and_nothing_else(world: World) -> None:
    for method, target, status in [
        ("GET", "/healthz", 404),
        ("POST", JOB, 404),
        ("GET", "/", 404),
        ("GET", "/metrics/", 404),
        ("GET", "/metrics?x", 200),
        ("HEAD", "/metrics", 200),
        ("POST", "/metrics", 405),
    ]:
        assert world.metrics(method, target, Host=f"127.0.0.1:{world.service.port}").status == status, target
    forged = {"Host": f"127.0.0.1:{world.port}", "X_Forwarded_Host": f"127.0.0.1:{world.port}"}
    assert world.ask("GET", "/metrics", **forged, X_Forwarded_Port=str(world.port)) == 404
    assert world.ask("GET", f"http://127.0.0.1:{world.port}/metrics", **forged) == 404
    assert world.theeye.calls == []
    accept = "application/openmetrics-text; version=1.0.0, text/plain; version=0.0.4;q=0.5"
    answer = world.metrics(Accept=accept, Accept_Encoding="gzip")
    assert (answer.status, answer.header("Content-Encoding")) == (200, "gzip")
    assert (answer.header("Content-Type") or "").startswith("application/openmetrics-text; version=1.0.0")
    text = gzip.decompress(answer.body).decode()
    assert text.endswith("# EOF\n")
    assert "theeye_sync_parked" in {family.name for family in text_fd_to_metric_families(StringIO(text))}


def test_a_dead_workers_gauges_go_and_its_counts_stay(theeye: StandIn) -> None:
    with serving(theeye, workers=2) as world:
        assert [world.ask() for _ in range(6)] == [200] * 6
        world.wait_for("theeye_sync_requests_total{mode=output,outcome=success}", 6)
        theeye.task(delay=None)
        waiting = 12
        with ThreadPoolExecutor(waiting) as pool:
            requests = {pool.submit(world.ask) for _ in range(waiting)}
            world.wait_for("theeye_sync_parked", waiting)

            def are_counted() -> bool:
                parked = world.scrape().get("theeye_sync_parked")
                return parked == waiting - sum(map(Future.done, requests))

            for pid in world.service.worker_pids():
                os.kill(pid, signal.SIGKILL)
                wait_until(lambda pid=pid: pid not in world.service.worker_pids(), 10, "the end")  # type: ignore[misc]
                wait(requests, timeout=0.5)  # for those that it had
                wait_until(are_counted, 20, "the count of the others")
            assert all(isinstance(request.exception(20), OSError) for request in requests)
            found = world.wait_for("theeye_sync_parked", 0)
        assert found["theeye_sync_requests_total{mode=output,outcome=success}"] == 6
        theeye.task()
        assert world.ask() == 200
        world.wait_for("theeye_sync_requests_total{mode=output,outcome=success}", 7)


@pytest.mark.parametrize("worker", WORKERS)
def test_metrics_are_served_while_all_places_are_taken(theeye: StandIn, worker: str) -> None:
    theeye.task(delay=None)
    with serving(theeye, worker, SYNC_MAX_WAITING="3") as world, ThreadPoolExecutor(3) as pool:
        parked = [pool.submit(world.ask) for _ in range(3)]
        wait_until(lambda: len(theeye.jobs) == 3, 10, "the jobs")
        world.wait_for("theeye_sync_parked", 3)
        assert [world.ask() for _ in range(5)] == [503] * 5
        found = world.wait_for("theeye_sync_refused_total{code=EBUSY}", 5)
        assert found["theeye_sync_parked"] == 3
        assert found["theeye_sync_requests_total{mode=none,outcome=refused}"] == 5
        for job in theeye.jobs:
            theeye.finish(job)
        assert [answer.result(20) for answer in parked] == [200] * 3
        world.wait_for("theeye_sync_parked", 0)


def test_the_listener_and_joined_requests(redis_server: Redis, theeye_redis: StandIn) -> None:
    with Redis() as own, serving(theeye_redis, SYNC_REDIS_URL=own.url) as world:
        assert [world.ask(Idempotency_Key="k1") for _ in range(3)] == [200] * 3
        found = world.wait_for("theeye_sync_idempotent_joins_total", 2)
        assert found["theeye_sync_listener_up"] == 1
        assert found["theeye_sync_unheard_ends_total"] == 1, "TheEye publishes to another Redis"
        assert found["theeye_sync_theeye_calls_total{kind=create,status=200}"] == 1
        own.stop()
        world.wait_for("theeye_sync_listener_up", 0)
        own.start()
        world.wait_for("theeye_sync_listener_up", 1)


@pytest.mark.parametrize("worker", WORKERS)
def test_unix_sockets_are_told_apart(theeye: StandIn, worker: str, tmp_path: Path) -> None:
    with serving(theeye, worker, SYNC_METRICS_BIND=f"unix:{tmp_path}/metrics.sock") as world:
        served = over_unix(tmp_path / "metrics.sock", request_bytes("GET", "/metrics", Host=f"x:{world.service.port}"))
        assert samples(served)["theeye_sync_parked"] == 0
        assert over_unix(tmp_path / "metrics.sock", request_bytes("GET", "/healthz")).status == 404
        assert world.ask("GET", "/metrics", Host=f"{tmp_path}/metrics.sock") == 404


def test_a_service_on_a_unix_socket_serves_no_metrics(theeye: StandIn, tmp_path: Path) -> None:
    with serving(theeye) as world:
        bind = f"127.0.0.1:{free_port()}"
        options = ("--bind", f"unix:{tmp_path}/sync.sock", "--bind", bind)
        with closing(Service(environment(theeye, metrics_bind=bind), args=options)) as second:
            second.launch_only()
            wait_until((tmp_path / "sync.sock").exists, 20, "the socket")
            wait_until(lambda: answers(int(bind.rpartition(":")[2])), 20, "the metrics")
            assert over_unix(tmp_path / "sync.sock", request_bytes("GET", "/metrics", Host=bind)).status == 404
        assert world.scrape()["theeye_sync_parked"] == 0  # each gunicorn has a folder of its own


def answers(port: int) -> bool:
    try:
        return raw_request("127.0.0.1", port, request_bytes("GET", "/metrics")).status == 200
    except OSError:
        return False


def over_unix(path: Path, data: bytes) -> RawResponse:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(str(path))
        sock.sendall(data)
        return read_response(sock)


def test_instances_with_one_folder_leave_each_other_alone(theeye: StandIn, tmp_path: Path) -> None:
    folder, temporary = tmp_path / "numbers", tmp_path / "tmp"
    temporary.mkdir()
    named = {"PROMETHEUS_MULTIPROC_DIR": str(folder), "TMPDIR": str(temporary)}
    counted = "theeye_sync_requests_total{mode=output,outcome=success}"
    with serving(theeye, **named) as first:
        assert first.ask() == 200
        first.wait_for(counted, 1)
        with serving(theeye, **named) as second:
            assert [second.ask(), second.ask()] == [200, 200]
            second.wait_for(counted, 2)
            assert first.scrape()[counted] == 1
        assert first.scrape()[counted] == 1
        [of_first] = folder.glob("theeye-sync-metrics-*")
        assert list(of_first.glob("*.db"))
    assert list(folder.glob("theeye-sync-metrics-*")) == list(temporary.iterdir()) == []


def test_what_a_killed_instance_left_is_removed(tmp_path: Path) -> None:
    program = "import os\nfrom app.telemetry import metrics_folder\nmetrics_folder.prepare()\nos._exit(0)"
    for _ in range(2):
        run_python("-c", program, PROMETHEUS_MULTIPROC_DIR=str(tmp_path))
    assert len(list(tmp_path.glob("theeye-sync-metrics-*"))) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_instances_of_two_users_share_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o1777)
        monkeypatch.setenv(metrics_folder._MADE_VARIABLE, "")
        for user in (10001, 10002):
            monkeypatch.setenv(metrics_folder.FOLDER_VARIABLE, folder)
            os.seteuid(user)
            try:
                metrics_folder.prepare()
            finally:
                os.seteuid(0)
        assert sorted(each.stat().st_uid for each in Path(folder).iterdir()) == [10001, 10002]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    program = "from app.telemetry import metrics_folder\nmetrics_folder.prepare()"
    ran = run_python("-c", program, PROMETHEUS_MULTIPROC_DIR=str(tmp_path / "file"), status=1)
    assert ran.stderr == f"theeye-sync: no folder for metrics in {tmp_path}/file: File exists\n"


FILLS_THE_DISK = """
import os
from contextlib import suppress
from app import Settings, services
from app.telemetry import metrics_folder

metrics_folder.prepare()
settings = Settings(metrics_bind="127.0.0.1:1")
metrics = services._metrics(settings)
with suppress(OSError), open(os.environ["TMPDIR"] + "/file", "wb", 0) as file:
    while file.write(bytes(4096)):
        pass
for number in range(600):  # of several blocks
    metrics.call("read", f"status {number}")
metrics.listener(True)  # its file is not used before
if (late := os.fork()) == 0:
    os._exit(services._metrics(settings) is not None)
assert os.waitpid(late, 0)[1] == 0
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
@pytest.mark.parametrize(
    ("size", "status", "told"),
    [("2m", 0, "this process is not in the metrics, "), ("512k", 1, "metrics cannot be written in {}: No")],
)
def test_a_full_file_system_kills_no_process(size: str, status: int, told: str, tmp_path: Path) -> None:
    script = f'mount --make-rprivate / && mount -t tmpfs -o size={size} tmpfs {tmp_path} && exec "$@"'
    command = [need("unshare", "util-linux"), "--mount", "sh", "-c", script, "-", sys.executable, "-c", FILLS_THE_DISK]
    env = clean_environment() | {"PYTHONPATH": str(CHECKOUT), "TMPDIR": str(tmp_path)}
    ran = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout) == (status, "")
    assert told.format(tmp_path) in ran.stderr


def test_a_process_that_cannot_count_shows_what_the_others_have_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(metrics_folder.FOLDER_VARIABLE, str(tmp_path / "removed"))
    client = create_app(Settings(metrics_bind="127.0.0.1:9090")).test_client()
    assert "this process is not in the metrics" in caplog.text
    sock = Mock(getsockname=Mock(return_value=("127.0.0.1", 9090)))
    there = {"SERVER_PORT": "9090", "gunicorn.socket": sock}
    assert client.get("/metrics", environ_overrides=there).status_code == 200
    assert [client.get("/healthz", environ_overrides=each).status_code for each in (there, {})] == [404, 200]


def test_a_folder_of_ours_is_removed_at_the_end(theeye: StandIn, tmp_path: Path) -> None:
    with serving(theeye, TMPDIR=str(tmp_path)) as world:
        [folder] = tmp_path.glob("theeye-sync-metrics-*")
        assert oct(folder.stat().st_mode & 0o777) == "0o700"
        assert world.ask() == 200
        (folder / "counter_1.db").touch()  # as a process leaves it that is killed while it starts
        world.wait_for("theeye_sync_requests_total{mode=output,outcome=success}", 1)
        [worker] = world.service.worker_pids()
        os.kill(worker, signal.SIGTERM)  # a worker's end is not the service's
        wait_until(lambda: worker not in world.service.worker_pids(), 20, "its end")
        assert folder.exists()
    assert list(tmp_path.glob("theeye-sync-metrics-*")) == []


def test_a_gunicorn_that_replaces_itself_makes_a_new_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.delenv(metrics_folder.FOLDER_VARIABLE, raising=False)
    monkeypatch.setenv(metrics_folder._MADE_VARIABLE, "")
    made = set()
    for _ in range(2):
        metrics_folder.prepare()
        made.add(os.environ[metrics_folder.FOLDER_VARIABLE])
    assert len(made) == 2
    metrics_folder.remove()
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("bind", ["9090", "127.0.0.1", "fd://3", "127.0.0.1:99999", "127.0.0.1:6090"])
def test_a_bind_that_cannot_be_used_is_named(bind: str) -> None:
    with pytest.raises(SettingsError, match="SYNC_METRICS_BIND"):
        Settings.from_env({"SYNC_METRICS_BIND": bind})


def test_without_prometheus_client_the_start_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setting_readers, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"SYNC_METRICS_BIND needs prometheus_client: pip install"):
        Settings.from_env({"SYNC_METRICS_BIND": "127.0.0.1:9090"})


def test_it_is_off_by_default_and_elsewhere(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.delenv(metrics_folder.FOLDER_VARIABLE, raising=False)
    assert create_app(Settings()).extensions["theeye_sync"].metrics is None
    with caplog.at_level(logging.WARNING):
        assert create_app(Settings(metrics_bind="127.0.0.1:9090")).extensions["theeye_sync"].metrics is None
    assert "SYNC_METRICS_BIND needs gunicorn" in caplog.text


NO_SOCKET = object()
OTHERS = ("127.0.0.1", 6090), ("10.0.0.1", 9090)


@pytest.mark.parametrize(
    ("bind", "port", "name", "takes"),
    [
        ("127.0.0.1:9090", "9090", ("127.0.0.1", 9090), True),
        *(("127.0.0.1:9090", "9090", name, False) for name in (*OTHERS, "/run/sync.sock", "", None, NO_SOCKET)),
        ("127.0.0.1:9090", "6090", ("127.0.0.1", 6090), False),
        ("localhost:9090", "9090", ("127.0.0.1", 9090), True),
        ("0.0.0.0:9090", "9090", ("10.0.0.1", 9090), True),
        ("0.0.0.0:9090", "9090", ("10.0.0.1", 6090), False),
        ("[::1]:9090", "9090", ("::1", 9090, 0, 0), True),
        ("[::]:9090", "9090", ("::ffff:10.0.0.1", 9090, 0, 0), True),
        ("unix:/run/m.sock", "80", "/run/m.sock", True),
        *(("unix:/run/m.sock", "80", name, False) for name in ("/run/sync.sock", ("127.0.0.1", 80), NO_SOCKET)),
    ],
)
def test_which_requests_are_for_the_metrics(bind: str, port: str, name: object, takes: bool) -> None:
    """The socket's own address decides; None means that the client has gone, NO_SOCKET that the host hides it."""
    ours = Mock(getsockname=Mock(side_effect=[OSError("gone") if name is None else name]))
    environ = {"SERVER_PORT": port} | ({} if name is NO_SOCKET else {"gunicorn.socket": ours})
    assert MetricsSocket(bind).takes(environ) is takes


@pytest.mark.parametrize(
    ("status", "by", "code", "outcome"),
    [
        *((status, "job", "", "success") for status in (200, 302)),
        *((status, "job", "", "failure") for status in (418, 500)),
        (204, "service", "", "success"),
        (202, "service", "", "accepted"),
        (404, "service", "ENOTFOUND", "client_error"),
        (401, "theeye", "", "client_error"),
        (499, "service", "ECLIENTGONE", "gone"),
        (500, "service", "EINTERNAL", "internal_error"),
        (501, "service", "ENOKEYS", "refused"),
        (502, "service", "EFORMATTER", "formatter_error"),
        (502, "service", "ESUPERVISOR", "upstream_error"),
        (503, "service", "EHISTORY", "refused"),
        (504, "service", "ETIMEISUP", "timeout"),
        (504, "service", "EOUTCOMEUNKNOWN", "upstream_error"),
    ],
)
def test_outcomes(status: int, by: str, code: str, outcome: str) -> None:
    trace = Trace()
    trace.status, trace.by, trace.code = status, by, code
    assert outcome_of(trace) == outcome


def test_the_reference_names_every_metric_and_its_labels(world: World) -> None:
    page = (CHECKOUT / "docs" / "operating.md").read_text()
    documented = {}
    for name, kind, labels in re.findall(r"^\| `(theeye_sync_\w+)` \| (\w+) \| ([^|]*)\|", page, re.MULTILINE):
        documented[name.removesuffix("_total")] = (kind, set(re.findall(r"`(\w+)`", labels)))
    assert world.ask(Prefer="respond-async") == 202
    assert world.ask(target=f"/beta/task/{TASK}/job") == 403
    world.wait_for("theeye_sync_refused_total{code=EORACC}", 1)
    text = world.metrics().body.decode()
    served = {
        family.name: (family.type, {label for sample in family.samples for label in sample.labels} - {"le"})
        for family in text_string_to_metric_families(text)
    }
    assert served | {"theeye_sync_listener_up": ("gauge", set())} == documented
