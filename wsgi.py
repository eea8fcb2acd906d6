"""The WSGI callable, for any host."""

from app import create_app

application = create_app()
