"""Create one job at the most for a request: idempotency keys, the history guard, and the run itself."""
