"""Record requests in logs, headers and metrics, and keep tokens out of them."""
