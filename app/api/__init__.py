"""Answer HTTP requests: a Flask blueprint, and what its views read and check."""
