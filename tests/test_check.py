"""`theeye-sync check` against real servers that are as they should be, and as they should not."""

import json
import os
import re
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from faults import Fault
from servers import CHECKOUT, Redis, clean_environment, free_port, full_listener, user_of
from standin import Html, Redirect, Reply, Session, Silence, StandIn, Verbatim
from tls import make_certificate, tls_server

from app.checks import machine
from app.checks import redis as redis_checks
from app.checks.refusals import RIGHTS as RIGHTS_ADVISED
from app.cli import main
from app.settings import Settings
from sandbox import CUSTOMER, CUSTOMER_ID, TOKEN, Sandbox

SECRET = "tok-secret-0123456789"


def check(*arguments: str, stdin: str = "", **environ: str) -> tuple[int, str]:
    """Exit status and output of one run, which never holds a secret."""
    clean: dict[str, Any] = dict.fromkeys(name for name in os.environ if name.startswith("SYNC_"))
    ran = CliRunner().invoke(main, ["check", *arguments], stdin, {**clean, **environ})
    if ran.exception is not None and not isinstance(ran.exception, SystemExit):
        raise ran.exception
    assert SECRET not in ran.output
    assert "hunter2" not in ran.output
    return ran.exit_code, ran.output


def lines(output: str, subject: str) -> list[str]:
    """What is said of a subject, each with its level."""
    return [" ".join(line.split()) for line in output.splitlines() if line[6:].split(" ")[0] == subject]


def only(output: str, subject: str) -> str:
    [line] = lines(output, subject)
    return line


def both(theeye: StandIn) -> dict[str, str]:
    return {"SYNC_GATEWAY_URL": theeye.url, "SYNC_SUPERVISOR_URL": theeye.url}


# -- the whole ------------------------------------------------------------------------------------------------------


def test_all_is_well(theeye: StandIn, redis_server: Redis) -> None:
    theeye.tokens[SECRET] = theeye.tokens["tok-acme"]
    status, output = check(**both(theeye), SYNC_REDIS_URL=redis_server.url, SYNC_CHECK_TOKEN=SECRET)
    assert status == 0
    assert output.splitlines()[-1] == "All is well."
    assert [line.split()[:2] for line in output.splitlines()[:-1]] == [
        ["ok", subject]
        for subject in (
            "settings",
            "gateway",
            "supervisor",
            *["redis"] * 3,
            "plugins",
            "files",
            *["token"] * 2,
            "extras",
        )
    ]
    assert re.search(r"gateway +http://127\.0\.0\.1:\d+ is a TheEye gateway, and answered in \d+ ms\n", output)
    assert "customer acme (5e0000000000000000000001), user 5e00000000000000000000a1" in output
    assert {call.method for call in theeye.calls} == {"GET"}


def test_the_sandbox_is_a_theeye(tmp_path: Path) -> None:
    with Sandbox(database=tmp_path / "theeye.sqlite3") as sandbox:
        environ = {"SYNC_GATEWAY_URL": sandbox.url, "SYNC_SUPERVISOR_URL": sandbox.url}
        status, output = check(**environ, SYNC_CHECK_TOKEN=TOKEN)
    assert status == 0
    assert f"customer {CUSTOMER} ({CUSTOMER_ID})" in output


def test_no_token_is_needed_and_what_is_missing_is_no_error(theeye: StandIn) -> None:
    status, output = check(**both(theeye))
    assert status == 0
    assert only(output, "redis").startswith("warn redis SYNC_REDIS_URL is not set: the waits poll")
    assert output.endswith("All is well, 1 warning.\n")
    assert lines(output, "token") == []


def test_json_for_scripts(theeye: StandIn) -> None:
    status, output = check("--json", **both(theeye), SYNC_WORKERS="0")
    report = json.loads(output)
    assert (status, report["ok"]) == (1, False)
    [wrong] = [finding for finding in report["findings"] if finding["level"] == "fail"]
    assert (wrong["subject"], wrong["words"]) == ("settings", "SYNC_WORKERS must be a whole number from 1 to 1024")


# -- settings -------------------------------------------------------------------------------------------------------


def test_every_bad_variable_is_named_at_once(theeye: StandIn) -> None:
    status, output = check(SYNC_GATEWAY_URL="http://u:hunter2@h", SYNC_WORKERS="0", SYNC_SUPERVISOR_URL=theeye.url)
    assert status == 1
    assert [line.split()[2] for line in lines(output, "settings")] == ["SYNC_WORKERS", "SYNC_GATEWAY_URL"]
    assert only(output, "gateway") == "warn gateway not checked, since SYNC_GATEWAY_URL cannot be used"
    assert only(output, "supervisor").startswith("ok"), "a bad setting hides only what depends on it"


def test_a_name_that_nobody_reads(theeye: StandIn) -> None:
    status, output = check(**both(theeye), SYNC_REDIS_ULR="redis://:hunter2@h")
    assert (status, only(output, "settings")) == (
        1,
        "FAIL settings SYNC_REDIS_ULR is not read. Is SYNC_REDIS_URL meant?",
    )
    status, output = check(**both(theeye), SYNC_COFFEE="1")
    assert (status, only(output, "settings")) == (0, "warn settings SYNC_COFFEE is not read. There is no such setting")


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        (
            {"SYNC_WAIT_SECONDS": "61"},
            "most proxies give up after 60 s. Give the proxy in front more than 61 s",
        ),
        ({"SYNC_CONNECT_TIMEOUT": "16"}, "SYNC_CONNECT_TIMEOUT (16) is above SYNC_CALL_TIMEOUT (15)"),
        ({"SYNC_SESSION_TTL": "0"}, "every request asks the gateway"),
    ],
)
def test_values_that_do_not_fit(environ: dict[str, str], words: str, theeye: StandIn) -> None:
    status, output = check(**both(theeye), **environ)
    assert status == 0
    assert only(output, "settings").startswith("warn")
    assert words in only(output, "settings")


# -- gateway and supervisor -----------------------------------------------------------------------------------------

ANSWERS: list[tuple[Fault, str]] = [
    (Html(404), "answers 404 to an unknown token, not 401. It is something else: correct SYNC_%s_URL"),
    (Reply(200, {}), "answers 200 to an unknown token, not 401. It is something else"),
    (Redirect("/login"), "answers 302 to an unknown token, not 401. It redirects"),
    (Html(502), "answers 502 to an unknown token, not 401. It fails, or a proxy in front of it cannot reach it"),
    (Html(403), "answers 403 to an unknown token, not 401. Something in front of it refuses this host"),
    (Verbatim(b"220 smtp.example.org ESMTP\r\n\r\n"), "gives no answer: no HTTP answer. It may not be an HTTP server"),
    (Silence(), "gives no answer: timed out. It accepts connections and hangs for 0.3 s"),
]
SIDES = ["gateway", "supervisor"]


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(("fault", "words"), ANSWERS)
def test_a_server_that_is_not_theeye(side: str, fault: Fault, words: str, theeye: StandIn) -> None:
    with StandIn() as odd:
        odd.fault("any", fault)
        environ = both(theeye) | {f"SYNC_{side.upper()}_URL": odd.url, "SYNC_CALL_TIMEOUT": "0.3"}
        began = time.monotonic()
        status, output = check(**environ)
        assert time.monotonic() - began < 10, "the default is 15 seconds"
    assert status == 1
    line = only(output, side)
    assert line.startswith(f"FAIL {side} {odd.url} ")
    assert (words % side.upper() if "%s" in words else words) in line
    [other] = set(SIDES) - {side}
    assert only(output, other).startswith("ok")


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:PORT", "nothing listens on 127.0.0.1:PORT. Start it there, or correct the port"),
        ("http://nowhere.invalid", "the name nowhere.invalid does not resolve"),
        ("http://" + "x" * 64 + ".invalid", "does not resolve"),
    ],
)
def test_nobody_there(side: str, url: str, words: str, theeye: StandIn) -> None:
    port = str(free_port())
    variable = f"SYNC_{side.upper()}_URL"
    status, output = check(**both(theeye) | {variable: url.replace("PORT", port)})
    assert status == 1
    assert words.replace("PORT", port) in only(output, side)
    assert only(output, side).endswith(f"({variable})")


def test_a_name_server_that_does_not_answer_is_not_waited_for(theeye: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answered.wait(30) and [])
    began = time.monotonic()
    status, output = check(**both(theeye), SYNC_CONNECT_TIMEOUT="0.2")
    answered.set()
    assert (status, time.monotonic() - began < 10) == (1, True), "the resolver takes 30 seconds"
    assert "the name 127.0.0.1 was not resolved within 0.2 s. Look at this host's DNS" in only(output, "gateway")


def test_a_host_that_takes_no_connection(theeye: StandIn) -> None:
    with full_listener() as port:
        status, output = check(
            **both(theeye) | {"SYNC_GATEWAY_URL": f"http://127.0.0.1:{port}", "SYNC_CONNECT_TIMEOUT": "0.3"}
        )
    assert status == 1
    assert f"127.0.0.1:{port} did not accept a connection within 0.3 s. Look for a firewall" in only(output, "gateway")


def test_swapped_urls_are_recognised() -> None:
    with StandIn() as gateway, StandIn() as supervisor:
        gateway.fault("read", Html(404))
        supervisor.fault("profile", Reply(404, {"message": "not found"}))
        status, output = check(SYNC_GATEWAY_URL=supervisor.url, SYNC_SUPERVISOR_URL=gateway.url)
    assert status == 1
    swapped = "Are SYNC_GATEWAY_URL and SYNC_SUPERVISOR_URL swapped?"
    assert only(output, "gateway") == f"FAIL gateway {supervisor.url} is a TheEye supervisor. {swapped}"
    assert only(output, "supervisor") == f"FAIL supervisor {gateway.url} is a TheEye gateway. {swapped}"


def test_a_path_too_much(theeye: StandIn) -> None:
    _, output = check(**both(theeye) | {"SYNC_GATEWAY_URL": f"{theeye.url}/api"})
    assert only(output, "gateway").endswith("Leave /api out of SYNC_GATEWAY_URL")


def test_a_slow_side_is_told(theeye: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.checks.theeye.SLOW", 0.0)
    status, output = check(**both(theeye))
    assert status == 0
    assert "That is slow" in only(output, "gateway")


def test_certificates(tmp_path: Path, theeye: StandIn) -> None:
    certificate = make_certificate(tmp_path)
    with tls_server(certificate, theeye) as url:
        _, output = check(**both(theeye) | {"SYNC_GATEWAY_URL": url})
        assert "is not accepted: self-signed certificate. Use the name that it was made for" in only(output, "gateway")
        _, output = check(**both(theeye), SYNC_REDIS_URL=url.replace("https", "rediss"))
        assert "has a certificate that is not accepted. Name its authority's file" in only(output, "redis")
        trusted = {"SSL_CERT_FILE": str(certificate[0])}
        _, output = check(**both(theeye) | {"SYNC_GATEWAY_URL": url.replace("127.0.0.1", "localhost")} | trusted)
        assert "certificate is not valid for 'localhost'" in only(output, "gateway")
        _, output = check(**both(theeye) | {"SYNC_GATEWAY_URL": url} | trusted)
        assert only(output, "gateway").startswith("ok")
        _, output = check(**both(theeye) | {"SYNC_GATEWAY_URL": url.replace("https", "http")})
        assert "It may not be an HTTP server, or want TLS" in only(output, "gateway")
    with talker(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        _, output = check(**both(theeye) | {"SYNC_GATEWAY_URL": f"https://127.0.0.1:{port}"})
    assert "does not speak TLS" in only(output, "gateway")


# -- a token --------------------------------------------------------------------------------------------------------


def test_a_token_from_standard_input(theeye: StandIn) -> None:
    theeye.tokens[SECRET] = theeye.tokens["tok-beta"]
    status, output = check("--token", "-", stdin=f"{SECRET}\n", **both(theeye))
    assert status == 0
    assert [line.split()[:3] for line in lines(output, "token")] == [
        ["ok", "token", "customer"],
        ["ok", "token", "the"],
    ]
    assert "customer beta" in output


@pytest.mark.parametrize("token", [f"{SECRET} x", f"{SECRET}\x00", f"{SECRET}ñ"])
def test_a_token_that_no_header_can_carry(token: str) -> None:
    assert check("--token", "-", stdin=token) == (2, check(SYNC_CHECK_TOKEN=f"{SECRET} x")[1])


def test_an_unknown_token(theeye: StandIn) -> None:
    status, output = check(**both(theeye), SYNC_CHECK_TOKEN=SECRET)
    assert status == 1
    assert only(output, "token").startswith("FAIL token the gateway does not know it")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Reply(401, "Unauthorized"), "the gateway knows it, the supervisor does not"),
        (Reply(404, "organization not found"), "the supervisor knows no customer acme"),
        (Reply(403, SECRET), "the supervisor refuses it (403)"),
        (Reply(409, {}), "the supervisor refuses it (409)"),
        (Html(502), "the supervisor answers 502, not 404"),
        (Silence(), "the supervisor did not answer: timed out"),
    ],
)
def test_a_token_that_the_supervisor_does_not_take(fault: Fault, words: str, theeye: StandIn) -> None:
    theeye.tokens[SECRET] = theeye.tokens["tok-acme"]
    theeye.fault("read", fault, when=lambda call: SECRET in call.headers.get("authorization", ""))
    status, output = check(**both(theeye), SYNC_CHECK_TOKEN=SECRET, SYNC_CALL_TIMEOUT="0.5")
    assert status == 1
    assert words in lines(output, "token")[1]


def test_a_gateway_that_repeats_the_token_or_sends_a_terminal_commands(theeye: StandIn) -> None:
    theeye.tokens[SECRET] = Session(SECRET, f"a\x1b[2J{SECRET}", user_id=SECRET)
    _, output = check(**both(theeye), SYNC_CHECK_TOKEN=SECRET)
    assert "customer a?[2J*** (***), user ***" in output
    assert "\x1b" not in output


# -- Redis ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guarded() -> Iterator[Redis]:
    """A Redis with a password, to give users rights in."""
    with Redis(password="hunter2") as redis:
        yield redis


def redis_lines(url: str, theeye: StandIn, status: int = 1, **environ: str) -> list[str]:
    got, output = check(**both(theeye), SYNC_REDIS_URL=url, **environ)
    assert got == status, output
    return lines(output, "redis")


def test_a_redis_as_it_should_be(guarded: Redis, theeye: StandIn) -> None:
    version, message, scripts = redis_lines(guarded.url, theeye, 0)
    assert re.fullmatch(rf"ok redis 127\.0\.0\.1:{guarded.port} is Redis \d+\.\d+\.\d+", version)
    assert re.fullmatch(r"ok redis a message came back in [\d.]+ ms", message)
    assert scripts == "ok redis scripts may run all their commands"
    assert guarded.client().keys() == [], "nothing is left behind"


@pytest.mark.parametrize("user", ["", ":wrong@", "nobody:wrong@"])
def test_a_password_that_is_not_accepted(user: str, guarded: Redis, theeye: StandIn) -> None:
    [line] = redis_lines(f"redis://{user}127.0.0.1:{guarded.port}", theeye)
    assert f"FAIL redis 127.0.0.1:{guarded.port} does not accept the password, or wants one. Write it" in line
    assert "wrong" not in line


ALL = "~* &* +@all"
RIGHTS = [
    (f"{ALL} -psubscribe", "does not let its user run PSUBSCRIBE"),
    (f"{ALL} -publish", "does not let its user run PUBLISH"),
    (f"{ALL} -evalsha", "does not let its user run EVALSHA"),
    (f"{ALL} -script|load", "does not let its user run SCRIPT|LOAD"),
    (f"{ALL} -ping", "does not let its user run PING"),
    (f"{ALL} -info", "does not let its user run INFO"),
    (f"{ALL} -zadd -hset", "does not let scripts run HSET, ZADD"),
    ("~* resetchannels +@all", "does not let its user use the channels that it needs"),
    ("~theeye:* &* +@all", "does not let its user use keys that begin with theeye-sync:"),
]


@pytest.mark.parametrize(("rights", "words"), RIGHTS)
def test_rights_that_are_missing(rights: str, words: str, guarded: Redis, theeye: StandIn) -> None:
    with user_of(guarded, rights) as url:
        found = [line for line in redis_lines(url, theeye) if not line.startswith("ok")]
    assert words in found[0]
    assert f"ACL SETUSER its name {RIGHTS_ADVISED}" in found[0]


def test_the_rights_that_are_advised_suffice(guarded: Redis, theeye: StandIn) -> None:
    with user_of(guarded, RIGHTS_ADVISED) as url:
        assert len(redis_lines(url, theeye, 0)) == 3
        assert len(redis_lines(url + "/1", theeye, 0)) == 3


def test_every_command_of_our_scripts_is_tried() -> None:
    called = {
        name
        for file in (CHECKOUT / "app" / "runs").rglob("*.*")
        if file.suffix in (".py", ".lua")
        for name in re.findall(r"redis\.call\('(\w+)'", file.read_text())
    }
    assert set(re.findall(r"try\('(\w+)'", redis_checks.SCRIPT)) == called
    assert len(called) > 10


def test_a_policy_that_drops_keys_and_a_replica(theeye: StandIn) -> None:
    with Redis() as redis:
        client = redis.client()
        client.config_set("maxmemory-policy", "allkeys-lru")
        assert redis_lines(redis.url, theeye, 0)[0].startswith("ok"), "it drops nothing without a maxmemory"
        client.config_set("maxmemory", "100mb")
        warning = redis_lines(redis.url, theeye, 0)[0]
        assert warning.startswith("warn")
        assert "with maxmemory-policy allkeys-lru it drops idempotency keys when its memory is full" in warning
        client.replicaof("127.0.0.1", str(free_port()))
        [replica] = redis_lines(redis.url, theeye)
        assert replica.endswith("a replica. Name the master in SYNC_REDIS_URL")


def test_a_frozen_redis_is_not_waited_for(theeye: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_checks, "ANSWER_SECONDS", 0.3)
    with Redis() as redis:
        redis.freeze()
        began = time.monotonic()
        [line] = redis_lines(redis.url, theeye)
        assert time.monotonic() - began < 3, "what it is unless patched"
    assert "accepts connections and does not answer within 0.3 s" in line


def test_no_redis_there(theeye: StandIn) -> None:
    port = free_port()
    [line] = redis_lines(f"redis://:hunter2@127.0.0.1:{port}", theeye)
    assert f"nothing listens on 127.0.0.1:{port}" in line
    [line] = redis_lines(f"unix://:hunter2@{__file__}?db=1", theeye)
    assert f"{__file__} is not a socket" in line
    with talker(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        [line] = redis_lines(f"redis://127.0.0.1:{port}", theeye)
    assert "does not answer as a Redis does" in line


@contextmanager
def talker(words: bytes) -> Iterator[int]:
    """A server that says the same to everybody."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def talk() -> None:
            while True:
                try:
                    sock, _ = listener.accept()
                except OSError:
                    return
                with sock:
                    sock.settimeout(5)
                    if sock.recv(4096):
                        sock.sendall(words)

        thread = threading.Thread(target=talk, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)


# -- this machine ---------------------------------------------------------------------------------------------------


def test_plugins(tmp_path: Path, theeye: StandIn) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("raise RuntimeError('no licence')\n")
    status, output = check(**both(theeye), SYNC_PLUGINS=str(broken), SYNC_DISABLED_FORMATTERS="full,fulll,output")
    assert status == 1
    failed, first, second, modes = lines(output, "plugins")
    assert failed.startswith(f"FAIL plugins broken ({broken}) is not loaded: RuntimeError: no licence")
    assert "names fulll, which turns nothing off" in first
    assert "names output, which turns nothing off" in second
    assert modes == "ok plugins modes: result, response, parse, output"
    status, output = check(**both(theeye), SYNC_PLUGINS=str(broken), SYNC_DISABLED_FORMATTERS="broken")
    assert (status, only(output, "plugins")) == (0, "ok plugins modes: result, full, response, parse, output")


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
    _, output = check(**both(theeye), SYNC_PLUGINS=str(plugin))
    assert only(output, "plugins").endswith(f"parse, shout ({plugin}), output")
    _, output = check(**both(theeye), SYNC_PLUGINS=str(plugin), SYNC_DISABLED_FORMATTERS="shout")
    assert only(output, "plugins") == "ok plugins modes: result, full, response, parse, output"


@pytest.mark.parametrize(
    ("limit", "places", "advice"),
    [(4000, "1000", ", or lower SYNC_MAX_WAITING to 944"), (256, "1000", "Docker: --ulimit nofile)")],
)
def test_too_few_open_files(limit: int, places: str, advice: str, theeye: StandIn) -> None:
    def limited(places: str) -> subprocess.CompletedProcess[str]:
        environ = clean_environment() | both(theeye) | {"SYNC_MAX_WAITING": places}
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
        f"FAIL files {limit} open files are allowed, each worker could need {needed}. Raise the hard"
    )
    assert line.endswith(advice)
    if "lower" in advice:
        assert limited(advice.rpartition(" ")[2]).returncode == 0, "the number that it names is enough"


def test_extras_that_are_missing(theeye: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "find_spec", lambda _: None)
    monkeypatch.setattr(machine, "version", lambda _: "0.6.9")
    status, output = check(**both(theeye))
    assert status == 0
    said = lines(output, "extras")
    assert [line.rpartition("[")[2] for line in said] == ["gevent]'", "fast]'", "redis]'", "metrics]'"]
    assert all(line.startswith("warn extras no ") for line in said)
    monkeypatch.setattr(machine, "find_spec", lambda name: None if name == "hiredis" else name)
    monkeypatch.setattr(machine, "version", lambda _: "0.6.10")
    assert only(check(**both(theeye))[1], "extras").startswith("warn extras no hiredis")
