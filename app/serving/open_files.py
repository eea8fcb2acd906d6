"""Raise the limit of open files in gunicorn's master; the workers inherit it."""

import resource


def raise_limit(needed: int) -> None:
    """Raise the soft limit (usually 1024) to `needed` files, or to the hard limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
