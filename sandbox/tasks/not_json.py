"""Answer an output that is not JSON."""

import json

print(json.dumps({"state": "success", "data": "plain words, not JSON"}))
