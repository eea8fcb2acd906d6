"""Answer three outputs: two are JSON, one is not."""

import json

print("one line of log")
print(json.dumps({"state": "success", "output": [{"first": 1}, {"second": 2, "statusCode": 201}, "not JSON"]}))
