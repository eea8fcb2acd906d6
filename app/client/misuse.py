"""Define the error for a wrong command line."""

import click


class Misuse(click.UsageError):
    """Report a wrong command line without repeating it: it may contain a token in the wrong position."""
