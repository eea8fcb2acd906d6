"""The log where the host sets none up: standard error, without tokens."""

import logging

from app.redaction import RedactingFormatter


def log_to_stderr(name: str = "theeye_sync") -> None:
    """Unless this logger, by default the service's own, has a handler already, as under gunicorn."""
    logger = logging.getLogger(name)
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(RedactingFormatter("[%(asctime)s] [%(process)d] [%(levelname)s] %(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
