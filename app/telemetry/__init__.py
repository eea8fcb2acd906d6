"""What the service tells about its requests: trace, log lines, metrics; never a token."""
