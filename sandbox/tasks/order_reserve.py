"""Reserve the items of an order, which takes a second."""

import json
import sys
import time

order, items = int(sys.argv[1]), json.loads(sys.argv[2])
time.sleep(1)
print(json.dumps({"state": "success", "data": {"order": order, "reserved": len(items)}}))
