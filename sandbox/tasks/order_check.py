"""Fail for an order above 100; otherwise pass the order on to the next task."""

import json
import sys

order, items = int(sys.argv[1]), json.loads(sys.argv[2])
if order > 100:
    print(json.dumps({"state": "failure", "data": {"statusCode": 409, "message": f"order {order}: not in stock"}}))
else:
    print(json.dumps({"state": "success", "data": [order, items]}))
