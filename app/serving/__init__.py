"""Configure and adapt gunicorn: worker classes, logger, limits, and how connections and workers end."""
