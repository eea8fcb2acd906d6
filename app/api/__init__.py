"""Answer HTTP requests: a Flask blueprint, its views, and the code that reads and checks requests."""
