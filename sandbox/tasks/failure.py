"""Fail: TheEye looks at the last line, a shell at the exit status."""

import json
import sys

print("about to fail", flush=True)
print("something is wrong", file=sys.stderr, flush=True)
print(json.dumps({"state": "failure", "data": {"message": "It did not work", "statusCode": 422}}))
sys.exit(1)
