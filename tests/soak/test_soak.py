"""The soak itself, for a few seconds: what it finds in twenty minutes stands in docs/reliability.md."""

import json
import os
import subprocess
import sys
from pathlib import Path

from support.processes import CHECKOUT, need


def test_a_short_soak(tmp_path: Path) -> None:
    need("redis-server", "redis-server")
    out = tmp_path / "soak.json"
    command = [sys.executable, "-m", "soak", "--minutes", "0.3", "--seed", "7", "--out", str(out)]
    env = os.environ | {"PYTHONPATH": "tests"}
    ran = subprocess.run(command, cwd=CHECKOUT, env=env, capture_output=True, text=True, timeout=110)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    figures = json.loads(out.read_text())
    assert figures["lost"] == figures["doubled"] == []
    assert sum(figures["faults"].values()) >= 1
    assert figures["requests"] > 200
    assert figures["creates"] <= figures["requests"]
    assert sum(outcomes.get("right", 0) for outcomes in figures["calls"].values()) > 200
