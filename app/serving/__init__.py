"""Serve under gunicorn: worker classes, logger, open files, the end of a connection and of a worker."""
