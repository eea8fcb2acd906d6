"""One create at the most: idempotency keys, the history guard, and the run itself."""
