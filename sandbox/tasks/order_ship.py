"""Ship an order."""

import json
import sys

order = int(sys.argv[1])
print(json.dumps({"state": "success", "data": {"order": order, "shipped": True}}))
