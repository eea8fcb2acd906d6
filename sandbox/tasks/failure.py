"""Fail: the exit status is what people look at, the last line is what TheEye looks at."""

import json
import sys

print("about to fail", flush=True)
print("something is wrong", file=sys.stderr, flush=True)
print(json.dumps({"state": "failure", "data": {"message": "It did not work", "statusCode": 422}}))
sys.exit(1)
