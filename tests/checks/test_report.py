"""Test the report: lines as text, JSON for scripts, and no control characters for a terminal."""

import json

from support.checks import SECRET, check
from support.settings import environment
from support.theeye import Session, StandIn


def test_json_for_scripts(theeye: StandIn) -> None:
    status, output = check("--json", **environment(theeye), SYNC_WORKERS="0")
    report = json.loads(output)
    assert (status, report["ok"]) == (1, False)
    [wrong] = [finding for finding in report["findings"] if finding["level"] == "fail"]
    assert (wrong["subject"], wrong["words"]) == ("settings", "SYNC_WORKERS must be a whole number from 1 to 1024")


def test_a_gateway_that_repeats_the_token_or_sends_a_terminal_commands(theeye: StandIn) -> None:
    theeye.tokens[SECRET] = Session(SECRET, f"a\x1b[2J{SECRET}", user_id=SECRET)
    _, output = check(**environment(theeye), SYNC_CHECK_TOKEN=SECRET)
    assert "customer a?[2J*** (***), user ***" in output
    assert "\x1b" not in output
