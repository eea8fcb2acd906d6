"""Configure gunicorn for TheEye Sync; `gunicorn` in the checkout reads this file by itself."""

from app.serving.config import *  # noqa: F403
