"""Wait for the end of a job: with Redis by notifications, without it by polling."""
