"""Make the WSGI callable, for any host."""

import sys

from app import SettingsError, create_app

try:
    application = create_app()
except SettingsError as error:
    sys.stderr.write(f"theeye-sync: {error}\n")
    sys.exit(3)  # gunicorn stops after this status; after any other it starts the worker again and again
