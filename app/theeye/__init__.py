"""Call TheEye: its two servers (gateway and supervisor), their sessions, tasks and jobs, over HTTP."""
