"""Sleep for longer than the task may run."""

import time

print("going to sleep", flush=True)
time.sleep(60)
