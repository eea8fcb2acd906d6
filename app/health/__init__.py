"""Report whether the service is alive and ready, and which server hosts it."""
