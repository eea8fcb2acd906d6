"""Call a running service from the shell: run a task, fetch its answer, cancel its job, list the tasks."""
