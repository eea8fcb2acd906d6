"""Many callers with mixed tasks, one fault after the other, and books that must balance at the end.

PYTHONPATH=tests python -m soak [--minutes 20] [--seed N] [--worker gevent|gthread] [--out FILE.json]

Exits with 1 when a call was lost, a request was run twice, or a worker's memory, threads, files or subscriptions grew.
"""

import argparse
import random
import sys
from collections.abc import Sequence
from pathlib import Path

from soak.run import Options, Soak

WORKERS = {"gevent": 2, "gthread": 1}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m soak", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--worker", choices=WORKERS, default=None, help="one kind of service instead of both")
    parser.add_argument("--out", type=Path, default=None, help="a file for what was counted, as JSON")
    given = parser.parse_args(arguments)
    seed = random.SystemRandom().randrange(10**6) if given.seed is None else given.seed
    workers = {given.worker: WORKERS[given.worker]} if given.worker else WORKERS
    print(f"soaking for {given.minutes:g} minutes, seed {seed}", flush=True)
    return Soak(Options(given.minutes, seed, workers, given.out)).run()


if __name__ == "__main__":
    sys.exit(main())
