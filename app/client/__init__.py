"""Be a client of a running service: run a task from the shell, fetch its answer, cancel its job, list the tasks."""
