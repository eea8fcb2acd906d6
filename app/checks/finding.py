"""What a check found, in plain words."""

from dataclasses import dataclass

OK, WARN, FAIL = "ok", "warn", "FAIL"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; `advice` is what to do about it."""

    level: str
    subject: str
    words: str
    advice: str = ""


def ok(subject: str, words: str) -> Finding:
    """Nothing to do."""
    return Finding(OK, subject, words)


def warn(subject: str, words: str, advice: str = "") -> Finding:
    """The service runs, with less than it could."""
    return Finding(WARN, subject, words, advice)


def fail(subject: str, words: str, advice: str = "") -> Finding:
    """Requests will fail, or the service does not start."""
    return Finding(FAIL, subject, words, advice)


def plural(number: int, word: str) -> str:
    """`1 file`, `2 files`."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
