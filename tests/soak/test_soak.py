"""Test the soak itself, for a few seconds; docs/reliability.md has the results of twenty minutes."""

import json
from pathlib import Path

from support.processes import need, run_python


def test_a_short_soak(tmp_path: Path) -> None:
    need("redis-server", "redis-server")
    out = tmp_path / "soak.json"
    run_python("-m", "soak", "--minutes", "0.3", "--seed", "7", "--out", str(out), PYTHONPATH="tests")
    figures = json.loads(out.read_text())
    assert figures["lost"] == figures["doubled"] == []
    assert sum(figures["faults"].values()) >= 1
    assert figures["requests"] > 200
    assert figures["creates"] <= figures["requests"]
    assert sum(outcomes.get("right", 0) for outcomes in figures["calls"].values()) > 200
