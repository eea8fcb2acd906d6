"""Test `theeye-sync check` as a whole, against real servers without problems."""

import re
from pathlib import Path

from support.checks import SECRET, check, lines, only
from support.processes import Redis
from support.settings import environment
from support.theeye import StandIn

from sandbox import CUSTOMER, CUSTOMER_ID, TOKEN, Sandbox


def test_all_is_well(theeye: StandIn, redis_server: Redis) -> None:
    theeye.tokens[SECRET] = theeye.tokens["tok-acme"]
    status, output = check(**environment(theeye), SYNC_REDIS_URL=redis_server.url, SYNC_CHECK_TOKEN=SECRET)
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
        environ = environment(sandbox)
        status, output = check(**environ, SYNC_CHECK_TOKEN=TOKEN)
    assert status == 0
    assert f"customer {CUSTOMER} ({CUSTOMER_ID})" in output


def test_no_token_is_needed_and_what_is_missing_is_no_error(theeye: StandIn) -> None:
    status, output = check(**environment(theeye))
    assert status == 0
    assert only(output, "redis").startswith("warn redis SYNC_REDIS_URL is not set: the service polls TheEye")
    assert output.endswith("All is well, 1 warning.\n")
    assert lines(output, "token") == []
