"""Represent what a check found."""

from dataclasses import dataclass

OK, WARN, FAIL = "ok", "warn", "FAIL"


@dataclass(frozen=True, slots=True)
class Finding:
    """Hold one line of the report; `advice` is what to do about it."""

    level: str
    subject: str
    words: str
    advice: str = ""


def ok(subject: str, words: str) -> Finding:
    """Report that there is nothing to do."""
    return Finding(OK, subject, words)


def warn(subject: str, words: str, advice: str = "") -> Finding:
    """Report that the service runs, but without something that it could have."""
    return Finding(WARN, subject, words, advice)


def fail(subject: str, words: str, advice: str = "") -> Finding:
    """Report that requests will fail or that the service does not start."""
    return Finding(FAIL, subject, words, advice)


def plural(number: int, word: str) -> str:
    """Return `1 file`, `2 files`."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
