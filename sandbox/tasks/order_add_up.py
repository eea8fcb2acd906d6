"""Answer the total price of an order's items."""

import json
import sys

order, items = int(sys.argv[1]), json.loads(sys.argv[2])
total = sum(item["quantity"] * item["price"] for item in items)
print(json.dumps({"state": "success", "data": {"order": order, "total": total}}))
