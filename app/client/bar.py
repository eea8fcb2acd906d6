"""Show a call as a progress bar, with the job's lifecycle, the elapsed time and the usual time of its task."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, Task, TaskID, TextColumn, TimeElapsedColumn
from rich.progress_bar import ProgressBar

from app.client.target import Target
from app.telemetry.text import escape


class _TimeBar(BarColumn):
    """Fill the bar with the elapsed time; without an expected time the bar only moves."""

    def render(self, task: Task) -> ProgressBar:
        """Return the current bar."""
        task.completed = min(task.elapsed or 0.0, task.total or 0.0)
        return super().render(task)


class _Bar:
    """Show one job."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def job(self, target: Target) -> None:
        """Show the job's name, an argument for `theeye-sync result`, above the bar."""
        self.say(f"job {target}")

    def lifecycle(self, lifecycle: str, expected_seconds: float | None) -> None:
        """Show the job's lifecycle."""
        usually = f"usually {expected_seconds:g} s" if expected_seconds else ""
        self._progress.update(self._task, description=escape(lifecycle), total=expected_seconds, usually=usually)

    def say(self, words: str) -> None:
        """Show a line above the bar."""
        self._progress.console.print(escape(words), markup=False, highlight=False, soft_wrap=True)


@contextmanager
def bar() -> Iterator[_Bar]:
    """Show a bar on standard error until the block ends."""
    words = TextColumn("{task.description}", markup=False)
    usually = TextColumn("{task.fields[usually]}", markup=False)
    columns = (words, _TimeBar(), TimeElapsedColumn(), usually)
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False) as progress:
        yield _Bar(progress, progress.add_task("asking", total=None, usually=""))
