"""python -m faults (`make drills`): repeat the drills, and write their figures into docs/reliability.md."""

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version

import pytest
from faults.page import renewed
from support.load import ROWS
from support.processes import CHECKOUT, need

PAGE = CHECKOUT / "docs" / "reliability.md"
DRILLS = ("faults", "runs/test_guarded_runs.py", "runs/test_repeated_runs.py")


def main() -> int:
    """Return 0 if the page has the figures of a run in which every drill passed."""
    os.environ["DRILL_WAITS"] = "3000"  # as a test it has fewer
    if failed := pytest.main(["-q", "--timeout=300", *(str(CHECKOUT / "tests" / name) for name in DRILLS)]):
        print(f"{PAGE} is left as it is", file=sys.stderr)
        return int(failed)
    page, unmatched = renewed(PAGE.read_text(), ROWS, measured())
    if unmatched:
        print(f"only in {PAGE}, or only measured: {', '.join(unmatched)}", file=sys.stderr)
        return 1
    PAGE.write_text(page)
    return 0


def measured() -> str:
    """Return when and on which machine this was measured."""
    redis = subprocess.run([need("redis-server", "redis-server"), "--version"], capture_output=True, text=True).stdout
    return (
        f"on {datetime.now(UTC):%-d %B %Y}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"gunicorn {version('gunicorn')}, gevent {version('gevent')}, Redis {redis.partition('v=')[2].split()[0]}"
    )


if __name__ == "__main__":
    sys.exit(main())
