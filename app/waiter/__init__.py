"""The wait for the end of a job: notifications where there is a Redis, polling where there is none."""
