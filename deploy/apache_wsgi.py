"""Load the service in each of mod_wsgi's daemon processes (deploy/apache.conf)."""

import os

os.environ.setdefault("SYNC_WORKERS", "2")  # the processes in apache.conf
os.environ.setdefault("SYNC_MAX_WAITING", "112")  # below the threads there

import mod_wsgi

from app import EXTENSION
from wsgi import application

STOP_SECONDS = 1.0  # Apache kills a daemon process 3 s after telling it to stop

_services = application.extensions[EXTENSION]
_services.health.stop_is_told = True
mod_wsgi.subscribe_shutdown(lambda event, **details: _services.stop(STOP_SECONDS))
