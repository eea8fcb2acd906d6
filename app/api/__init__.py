"""The HTTP interface: a Flask blueprint, and what its views read, check and answer."""
