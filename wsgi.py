"""The WSGI callable, for any host."""

from app import create_app
from app.host_log import log_to_stderr

log_to_stderr()
application = create_app()
