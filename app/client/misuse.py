"""Tell how a command is used."""

import click


class Misuse(click.UsageError):
    """Tell how the command is used, without repeating what was typed: it may be a token in the wrong position."""
