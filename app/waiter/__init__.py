"""Wait for the end of a job: by notifications where there is a Redis, by polling where there is none."""
