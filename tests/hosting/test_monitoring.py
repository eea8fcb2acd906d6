"""Test deploy/alerts.yaml and deploy/grafana.json: each alert fires when it should, and the queries are valid."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.host_checks import DEPLOY
from support.pages import read
from support.processes import need

ALERTS = DEPLOY / "alerts.yaml"
RULES = yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]
DASHBOARD = json.loads((DEPLOY / "grafana.json").read_text())
QUERIES = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
REQUESTS, BUCKET = "theeye_sync_requests_total", "theeye_sync_overhead_seconds_bucket"

WELL = {  # an hour without a fault, a sample each minute
    'theeye_sync_parked{instance="a"}': "3+0x60",
    'theeye_sync_listener_up{instance="a"}': "1+0x60",
    f'{REQUESTS}{{instance="a",outcome="success"}}': "0+600x60",
    f'{BUCKET}{{instance="a",le="0.1"}}': "0+600x60",
    f'{BUCKET}{{instance="a",le="+Inf"}}': "0+600x60",
    'theeye_sync_theeye_calls_total{instance="a",kind="create",status="200"}': "0+600x60",
    'theeye_sync_unheard_ends_total{instance="a"}': "0+0x60",
}
FAULTS = {  # the alert, and what is different then; after 40 minutes it fires, and no other does
    "TheEyeSyncAbsent": {'theeye_sync_parked{instance="a"}': "_x60"},
    "TheEyeSyncFailing": {f'{REQUESTS}{{instance="a",outcome="upstream_error"}}': "0+60x60"},
    "TheEyeSyncInternalErrors": {f'{REQUESTS}{{instance="a",outcome="internal_error"}}': "_x30 1+0x30"},
    "TheEyeSyncCallsLost": {'theeye_sync_theeye_calls_total{instance="a",kind="create",status="lost"}': "0+1x60"},
    "TheEyeSyncBusy": {'theeye_sync_refused_total{instance="a",code="EBUSY"}': "0+1x60"},
    "TheEyeSyncTimeouts": {f'{REQUESTS}{{instance="a",outcome="timeout"}}': "0+120x60"},
    "TheEyeSyncSlow": {
        f'{BUCKET}{{instance="a",le="0.1"}}': "0+300x60",
        f'{BUCKET}{{instance="a",le="5"}}': "0+600x60",
    },
    "TheEyeSyncDeaf": {'theeye_sync_listener_up{instance="a"}': "0+0x60"},
    "TheEyeSyncWrongRedis": {'theeye_sync_unheard_ends_total{instance="a"}': "0+10x60"},
}
HARMLESS = {  # of each fault so little that nobody is woken
    **{f'{REQUESTS}{{instance="a",outcome="{outcome}"}}': "0+20x60" for outcome in ("upstream_error", "timeout")},
    'theeye_sync_refused_total{instance="a",code="EINVALID"}': "0+9x60",
    'theeye_sync_unheard_ends_total{instance="a"}': "1+0x60",
    f'{REQUESTS}{{instance="a",outcome="internal_error"}}': "1+0x60",
}


def promtool(*arguments: str) -> str:
    command = [need("promtool", "prometheus"), *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def check_firing(folder: Path, series: dict[str, str], firing: list[str]) -> None:
    """Let promtool evaluate the rules on these series."""
    expected = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in firing]
    query = {"expr": 'count by (alertname) (ALERTS{alertstate="firing"})', "eval_time": "40m", "exp_samples": expected}
    inputs = [{"series": name, "values": values} for name, values in series.items()]
    test = {"interval": "1m", "input_series": inputs, "promql_expr_test": [query]}
    (folder / "test.yaml").write_text(yaml.safe_dump({"rule_files": [str(ALERTS)], "tests": [test]}))
    promtool("test", "rules", str(folder / "test.yaml"))


def test_the_rules_can_be_read() -> None:
    assert f"{len(RULES)} rules found" in promtool("check", "rules", str(ALERTS))
    assert [rule["alert"] for rule in RULES] == list(FAULTS)
    assert re.findall(r"^\| `(TheEyeSync\w+)` \|", read("docs/operating.md"), re.MULTILINE) == list(FAULTS)


@pytest.mark.parametrize("alert", FAULTS)
def test_a_fault_fires_its_alert_alone(alert: str, tmp_path: Path) -> None:
    check_firing(tmp_path, WELL | FAULTS[alert], [alert])


def test_a_bug_after_a_restart_fires_its_alert(tmp_path: Path) -> None:
    errors = {f'{REQUESTS}{{instance="a",outcome="internal_error"}}': "5+0x30 1+0x30"}
    check_firing(tmp_path, WELL | errors, ["TheEyeSyncInternalErrors"])


@pytest.mark.parametrize("series", [WELL, WELL | HARMLESS])
def test_no_alert_fires_without_a_fault(series: dict[str, str], tmp_path: Path) -> None:
    check_firing(tmp_path, series, [])


def test_the_dashboards_queries_can_be_read(tmp_path: Path) -> None:
    readable = [query.replace("$__rate_interval", "5m") for query in QUERIES]
    rules = [{"record": f"panel:{number}", "expr": query} for number, query in enumerate(readable)]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"{len(QUERIES)} rules found" in promtool("check", "rules", str(tmp_path / "rules.yaml"))


def test_they_ask_for_every_metric_there_is_and_no_other() -> None:
    documented = set(re.findall(r"^\| `(theeye_sync_\w+)`", read("docs/operating.md"), re.MULTILINE))
    assert metrics_in(QUERIES) == documented
    assert metrics_in(rule["expr"] for rule in RULES) <= documented


def test_they_ask_for_values_that_there_are() -> None:
    pages = read("docs/operating.md") + read("docs/api.md")
    queries = " ".join([*QUERIES, *(rule["expr"] for rule in RULES)])
    values = "|".join(re.findall(r'\b(?:outcome|code|kind|status|cache)=~?"([^"]*)"', queries)).split("|")
    assert "upstream_error" in values
    assert [value for value in values if f"`{value}`" not in pages] == []


def metrics_in(queries: Any) -> set[str]:
    names = re.findall(r"theeye_sync_\w+", " ".join(queries))
    return {name.removesuffix("_bucket") for name in names}


def test_the_panels_lie_side_by_side() -> None:
    cells = [
        (panel["gridPos"]["x"] + x, panel["gridPos"]["y"] + y)
        for panel in DASHBOARD["panels"]
        for x in range(panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
