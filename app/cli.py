"""Define the command `theeye-sync`, also `python -m app`; `formatters` is a command of `flask --app wsgi` too."""

import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from app.checks import findings
from app.checks.report import print_findings
from app.client import commands
from app.client.misuse import Misuse
from app.client.outcome import Exit
from app.client.tables import table
from app.client.token import read_token, token_option
from app.health.status import our_version
from app.settings import CLIENT_TOKEN, TOKEN_VARIABLE, Settings, SettingsError
from formatters import Mode, Registry

COLUMNS = ("MODE", "PRECEDENCE", "SELECTED BY", "PLUGIN", "VERSION")
CONFIGURATION = "python:app.serving.config"
BASE = "`from app.serving.config import *`"
CHECK_HELP = f"""Check whether the service is set up well.

It verifies settings, gateway, supervisor, Redis, plugins and the limit of open files.

A token is optional. The command also checks the one in {TOKEN_VARIABLE}, or on standard input with `--token -`.

Exit status: 0 nothing is wrong (there may be warnings), 1 something is wrong, 2 the command was misused.
"""


class DiscreetGroup(click.Group):
    """Keep the typed words out of error messages: click repeats them, and one may be a token in the wrong position."""

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        """Parse the options before the name of the command. Raise Misuse."""
        with _hidden_arguments():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: click.Context) -> Any:
        """Parse the rest and run the command. Raise Misuse, or SystemExit after Ctrl-C."""
        try:
            with _hidden_arguments():
                return super().invoke(ctx)
        except KeyboardInterrupt:  # click would exit with 1, which means for `run` that the job failed
            raise SystemExit(Exit.INTERRUPTED) from None


@contextmanager
def _hidden_arguments() -> Iterator[None]:
    try:
        yield
    except (Misuse, click.MissingParameter):
        raise
    except click.UsageError as error:
        words = (
            "no such command, option or argument; pass a token with `--token -` or in "
            f"{CLIENT_TOKEN}, for `check` in {TOKEN_VARIABLE}"
        )
        raise Misuse(words, error.ctx) from None


@click.group(cls=DiscreetGroup, invoke_without_command=True, help="Run TheEye Sync, or call a running service.")
@click.version_option(our_version(), prog_name="theeye-sync")
@click.pass_context
def main(context: click.Context) -> None:
    """Run `theeye-sync`, the console script of setup.cfg."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        context.exit(2)
    if str(Path.cwd()) not in sys.path:  # gunicorn does the same: SYNC_PLUGINS may name modules in this directory
        sys.path.insert(0, str(Path.cwd()))


@main.command(context_settings={"ignore_unknown_options": True})
@click.argument("options", nargs=-1, type=click.UNPROCESSED, metavar="[GUNICORN OPTIONS]...")
def serve(options: tuple[str, ...]) -> None:
    """Serve with gunicorn. Further options are gunicorn's; they override the settings."""
    _check_options(options)
    # Process 1 of a container loses a SIGTERM that it has no handler for: keep it until gunicorn has one (when_ready).
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    os.environ["PYTHONSAFEPATH"] = "1"  # at SIGUSR2 gunicorn runs its own __main__.py: `http` beside it is not Python's
    os.execv(sys.executable, [sys.executable, "-m", "gunicorn", "--config", CONFIGURATION, *options])


def _check_options(options: Sequence[str]) -> None:
    """Raise Misuse for an option that gunicorn does not know, or that would make it serve something else."""
    from gunicorn.config import Config

    found, unknown = Config().parser().parse_known_args(options)
    if unknown:
        raise Misuse("gunicorn has no such option; `gunicorn --help` lists them")
    if found.args:
        raise Misuse("serve takes only options of gunicorn, and no application: it always serves TheEye Sync")
    if found.config:
        raise Misuse(f"serve uses its own configuration. Otherwise run gunicorn with a file that begins with {BASE}")


@main.command(help=CHECK_HELP)
@token_option(TOKEN_VARIABLE)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check(from_stdin: bool, as_json: bool) -> None:
    """Run `theeye-sync check`."""
    token = read_token(TOKEN_VARIABLE, from_stdin)
    with _without_logs():
        good = print_findings(findings(os.environ, token), token, as_json)
    raise SystemExit(0 if good else 1)


@contextmanager
def _without_logs() -> Iterator[None]:
    """Turn logging off: it would repeat the findings."""
    logging.disable()
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def formatters_command(registry: Callable[[], Registry]) -> click.Command:
    """Return a command that lists the modes of a registry, which it makes when it runs.

    Its exit status is 1 if a plugin failed to load.
    """

    def show() -> None:
        found = registry()
        click.echo(listing(found))
        if found.failures:
            raise SystemExit(1)

    return click.Command("formatters", callback=show, help="List the response modes in order of precedence.")


def listing(registry: Registry) -> str:
    """Return a table of the modes, and below it the plugins that failed to load."""
    lines = table([COLUMNS, *map(_row, registry.modes)])
    for failure in registry.failures:
        origin = "" if failure.source == failure.name else f" ({failure.source})"
        lines.append(f"not loaded: {failure.name}{origin}: {failure.reason}")
    return "\n".join(lines)


def _row(mode: Mode) -> tuple[str, ...]:
    selected = [*(f"?{query}" for query in mode.queries), *(f"Accept: {type_}" for type_ in mode.media_types)]
    return (
        mode.name,
        f"{mode.precedence:g}",
        ", ".join(selected) or "nothing else asked for",
        mode.plugin,
        mode.version or "-",
    )


def _registry_from_environment() -> Registry:
    try:
        settings = Settings.from_env()
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    return Registry(settings.disabled_formatters, settings.plugins)


main.add_command(formatters_command(_registry_from_environment))
for _command in (commands.run, commands.result, commands.cancel, commands.tasks, commands.workflows):
    main.add_command(_command)
