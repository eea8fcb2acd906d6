"""What gunicorn is told: worker classes, logger, the end of a worker."""
