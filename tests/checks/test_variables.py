"""Test bad values, unknown names, and values that do not fit together."""

import pytest
from support.checks import check, finding, lines, only
from support.settings import environment
from support.theeye import StandIn


def test_every_bad_variable_is_named_at_once(theeye: StandIn) -> None:
    status, output = check(SYNC_GATEWAY_URL="http://u:hunter2@h", SYNC_WORKERS="0", SYNC_SUPERVISOR_URL=theeye.url)
    assert status == 1
    assert [line.split()[2] for line in lines(output, "settings")] == ["SYNC_WORKERS", "SYNC_GATEWAY_URL"]
    assert only(output, "gateway") == "warn gateway not checked, because SYNC_GATEWAY_URL cannot be used"
    assert only(output, "supervisor").startswith("ok"), "a bad setting hides only what depends on it"


def test_a_name_that_nobody_reads(theeye: StandIn) -> None:
    near = finding("settings", **environment(theeye), SYNC_REDIS_ULR="redis://:hunter2@h")
    assert near == "FAIL settings SYNC_REDIS_ULR is not a setting. Is SYNC_REDIS_URL meant?"
    far = finding("settings", 0, **environment(theeye), SYNC_COFFEE="1")
    assert far == "warn settings SYNC_COFFEE is not a setting. Remove it"


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"SYNC_WAIT_SECONDS": "61"}, "most proxies stop waiting after 60 s. Set the proxy's timeout above 61 s"),
        ({"SYNC_CONNECT_TIMEOUT": "16"}, "SYNC_CONNECT_TIMEOUT (16) is above SYNC_CALL_TIMEOUT (15)"),
        ({"SYNC_MAX_WAITING_CUSTOMER": "1001"}, "(1001) is above SYNC_MAX_WAITING (1000), so it has no effect"),
        ({"SYNC_SESSION_TTL": "0"}, "every request asks the gateway"),
    ],
)
def test_values_that_do_not_fit(environ: dict[str, str], words: str, theeye: StandIn) -> None:
    line = finding("settings", 0, **environment(theeye), **environ)
    assert line.startswith("warn")
    assert words in line
