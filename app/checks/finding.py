"""Represent the findings of a check."""

from dataclasses import dataclass

OK, WARN, FAIL = "ok", "warn", "FAIL"


@dataclass(frozen=True, slots=True)
class Finding:
    """Hold one line of the report; `advice` says what to do."""

    level: str
    subject: str
    words: str
    advice: str = ""


def ok(subject: str, words: str) -> Finding:
    """Report that there is nothing to do."""
    return Finding(OK, subject, words)


def warn(subject: str, words: str, advice: str = "") -> Finding:
    """Report that the service runs, but lacks something."""
    return Finding(WARN, subject, words, advice)


def fail(subject: str, words: str, advice: str = "") -> Finding:
    """Report that requests will fail, or that the service will not start."""
    return Finding(FAIL, subject, words, advice)


def plural(number: int, word: str) -> str:
    """Return a number with its noun: `1 file`, `2 files`."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
