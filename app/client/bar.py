"""Show a call as a bar with the job's lifecycle, the time it took so far, and what its task usually takes."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, Task, TaskID, TextColumn, TimeElapsedColumn
from rich.progress_bar import ProgressBar

from app.client.target import Target
from app.telemetry.text import escape


class _TimeBar(BarColumn):
    """Fill the bar by the time that has passed; without an expected time it only moves."""

    def render(self, task: Task) -> ProgressBar:
        """Return the bar as it is now."""
        task.completed = min(task.elapsed or 0.0, task.total or 0.0)
        return super().render(task)


class _Bar:
    """Show one job."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def job(self, target: Target) -> None:
        """Show the name that `theeye-sync result` takes, above the bar."""
        self.say(f"job {target}")

    def lifecycle(self, lifecycle: str, expected_seconds: float | None) -> None:
        """Show what the job does now."""
        usually = f"usually {expected_seconds:g} s" if expected_seconds else ""
        self._progress.update(self._task, description=escape(lifecycle), total=expected_seconds, usually=usually)

    def say(self, words: str) -> None:
        """Show a line above the bar."""
        self._progress.console.print(escape(words), markup=False, highlight=False, soft_wrap=True)


@contextmanager
def bar() -> Iterator[_Bar]:
    """Show a bar until the answer is here; standard output is left alone."""
    words = TextColumn("{task.description}", markup=False)
    usually = TextColumn("{task.fields[usually]}", markup=False)
    columns = (words, _TimeBar(), TimeElapsedColumn(), usually)
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False) as progress:
        yield _Bar(progress, progress.add_task("asking", total=None, usually=""))
