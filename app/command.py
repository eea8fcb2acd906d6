"""The command `theeye-sync`, also `python -m app`: `check` and `formatters`."""

import json
import logging
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from app.api.query import Query
from app.checks import findings
from app.checks.finding import FAIL, OK, WARN, Finding, plural
from app.checks.variables import TOKEN
from app.cli import formatters_command
from app.errors import Unauthorized
from app.settings import Settings, SettingsError
from app.theeye.sessions import token_of
from formatters import Registry

INTERRUPTED = 130  # as a shell says it of Ctrl-C
COLOURS = {OK: "green", WARN: "yellow", FAIL: "red"}
HELP = f"""Verify settings, gateway, supervisor, Redis, plugins and the limit of open files.

No token is needed; one in {TOKEN}, or on standard input with `--token -`, is tried.

Exit status: 0 all is well (warnings count as well), 1 something is wrong, 2 the command was misused.
"""


class Misuse(click.UsageError):
    """The command was called wrongly, in words of our own."""


@contextmanager
def _discreetly() -> Iterator[None]:
    """Click's words repeat what was typed, and that may be a token in the wrong place."""
    try:
        yield
    except Misuse:
        raise
    except click.UsageError as error:
        words = f"no such command, option or argument; a token comes from {TOKEN} or `check --token -`"
        raise Misuse(words, error.ctx) from None


class DiscreetGroup(click.Group):
    """Commands whose errors do not show what was typed."""

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        """Reads what stands before the command's name."""
        with _discreetly():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: click.Context) -> Any:
        """Reads the rest and runs the command."""
        with _discreetly():
            return super().invoke(ctx)


@click.group(cls=DiscreetGroup, invoke_without_command=True, help="TheEye Sync, for those who run it.")
@click.pass_context
def main(context: click.Context) -> None:
    """The entry point of `theeye-sync`."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        context.exit(2)
    if str(Path.cwd()) not in sys.path:  # SYNC_PLUGINS may name modules there, as under gunicorn
        sys.path.insert(0, str(Path.cwd()))


def _only_dash(context: click.Context, parameter: click.Parameter, value: str | None) -> bool:
    """`-` only: a token as an argument would stand in the list of processes."""
    if value not in (None, "-"):
        raise Misuse(f"a token is never an argument: use `--token -`, or {TOKEN}")
    return value is not None


@main.command(help=HELP)
@click.option("--token", "stdin", metavar="-", callback=_only_dash, help="Read a token from standard input.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check(stdin: bool, as_json: bool) -> None:
    """`theeye-sync check`."""
    try:
        token = _token(stdin)
        with _quiet():
            found = (_shown(finding, token) for finding in findings(os.environ, token))
            wrong = _print_json(found) if as_json else _print_lines(found)
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    raise SystemExit(1 if wrong else 0)


@contextmanager
def _quiet() -> Iterator[None]:
    """No logs: the findings say all that is to be said."""
    logging.disable()
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _token(stdin: bool) -> str | None:
    given = sys.stdin.readline() if stdin else os.environ.get(TOKEN, "")
    if not given.strip() and not stdin:
        return None
    try:
        return token_of(f"Bearer {given.strip()}", Query(""), query_token=False)
    except Unauthorized:
        raise Misuse("the token must be one line of visible ASCII characters") from None


def _shown(finding: Finding, token: str | None) -> Finding:
    """Without the token, whoever says it, and without what a terminal would obey."""

    def clean(text: str) -> str:
        text = text.replace(token, "***") if token else text
        return "".join(letter if letter.isprintable() else "?" for letter in text)

    return Finding(finding.level, finding.subject, clean(finding.words), clean(finding.advice))


def _print_lines(found: Iterable[Finding]) -> bool:
    """One line each, as soon as it is known, and a summary; whether anything is wrong."""
    levels: Counter[str] = Counter()
    for finding in found:
        levels[finding.level] += 1
        words = f"{finding.words}. {finding.advice}" if finding.advice else finding.words
        level = click.style(f"{finding.level:4}", fg=COLOURS[finding.level])
        click.echo(f"{level}  {finding.subject:10}  {words}")
    warned = f", {plural(levels[WARN], 'warning')}" if levels[WARN] else ""
    verdict = f"{plural(levels[FAIL], 'thing')} wrong" if levels[FAIL] else "All is well"
    click.echo(f"{verdict}{warned}.")
    return levels[FAIL] > 0


def _print_json(found: Iterator[Finding]) -> bool:
    lines = [
        {"level": each.level.lower(), "subject": each.subject, "words": each.words, "advice": each.advice}
        for each in found
    ]
    wrong = any(line["level"] == FAIL.lower() for line in lines)
    click.echo(json.dumps({"ok": not wrong, "findings": lines}, indent=2, ensure_ascii=False))
    return wrong


def _registry() -> Registry:
    try:
        settings = Settings.from_env()
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    return Registry(settings.disabled_formatters, settings.plugins)


main.add_command(formatters_command(_registry))
