"""Sleep for the given seconds."""

import json
import sys
import time

seconds = float(sys.argv[1] or 0)
print(f"sleeping for {seconds:g} seconds", flush=True)
time.sleep(seconds)
print(json.dumps({"state": "success", "data": {"slept": seconds}}))
