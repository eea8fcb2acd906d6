"""Show the progress of a call on standard error: a bar on a terminal, else the job's name."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from app.client.call import Shown
from app.client.streams import is_terminal, say
from app.client.target import Target


class Lines:
    """Show one line for each change."""

    def __init__(self, with_lifecycles: bool) -> None:
        """Leave out the lifecycles without a terminal: cron would send a mail with them."""
        self._with_lifecycles = with_lifecycles

    def job(self, target: Target) -> None:
        """Show the job's name, an argument for `theeye-sync result`."""
        self.say(f"job {target}")

    def lifecycle(self, lifecycle: str, expected_seconds: float | None) -> None:
        """Show the job's lifecycle, and how long its task usually takes."""
        if self._with_lifecycles:
            self.say(lifecycle + (f", usually {expected_seconds:g} s in total" if expected_seconds else ""))

    def say(self, words: str) -> None:
        """Show a line."""
        say(words)


@contextmanager
def screen() -> Iterator[Shown]:
    """Show a bar if standard error is a terminal and rich is installed (the extra `cli`), else lines."""
    try:
        from rich.console import Console

        from app.client.bar import bar
    except ImportError:
        yield Lines(is_terminal(sys.stderr))
        return
    if not is_terminal(sys.stderr) or Console(stderr=True).is_dumb_terminal:
        yield Lines(with_lifecycles=is_terminal(sys.stderr))
        return
    with bar() as shown:
        yield shown
