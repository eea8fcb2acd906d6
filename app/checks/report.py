"""Print the findings of `theeye-sync check`: one line each, or all in one JSON object."""

import json
from collections import Counter
from collections.abc import Iterable

import click

from app.checks.finding import FAIL, OK, WARN, Finding, plural

COLOURS = {OK: "green", WARN: "yellow", FAIL: "red"}


def print_findings(found: Iterable[Finding], token: str | None, as_json: bool) -> bool:
    """Print each finding without the token. Return whether there is no failure."""
    cleaned = (_cleaned(finding, token) for finding in found)
    return _print_json(cleaned) if as_json else _print_lines(cleaned)


def _cleaned(finding: Finding, token: str | None) -> Finding:
    """Remove the token, which TheEye may have repeated, and control characters, which a terminal would interpret."""

    def clean(text: str) -> str:
        text = text.replace(token, "***") if token else text
        return "".join(letter if letter.isprintable() else "?" for letter in text)

    return Finding(finding.level, finding.subject, clean(finding.words), clean(finding.advice))


def _print_lines(found: Iterable[Finding]) -> bool:
    """Print one line for each finding at once, then a summary."""
    levels: Counter[str] = Counter()
    for finding in found:
        levels[finding.level] += 1
        words = f"{finding.words}. {finding.advice}" if finding.advice else finding.words
        level = click.style(f"{finding.level:4}", fg=COLOURS[finding.level])
        click.echo(f"{level}  {finding.subject:10}  {words}")
    warned = f", {plural(levels[WARN], 'warning')}" if levels[WARN] else ""
    verdict = f"{plural(levels[FAIL], 'thing')} wrong" if levels[FAIL] else "All is well"
    click.echo(f"{verdict}{warned}.")
    return not levels[FAIL]


def _print_json(found: Iterable[Finding]) -> bool:
    """Print one JSON object after the last check."""
    findings = [
        {"level": each.level.lower(), "subject": each.subject, "words": each.words, "advice": each.advice}
        for each in found
    ]
    good = all(finding["level"] != FAIL.lower() for finding in findings)
    click.echo(json.dumps({"ok": good, "findings": findings}, indent=2, ensure_ascii=False))
    return good
