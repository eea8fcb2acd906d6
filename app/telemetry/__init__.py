"""Tell about requests, and never a token: trace, log lines, metrics."""
