"""Answer a CSV file: with `?response` the browser saves it."""

import csv
import io
import json

text = io.StringIO()
csv.writer(text).writerows([("server", "state", "note"), ("web-1", "up", 'says "hello, world"'), ("web-2", "down", "")])
headers = {"Content-Type": "text/csv; header=present", "Content-Disposition": 'attachment; filename="servers.csv"'}
print(json.dumps({"state": "success", "data": {"response": {"headers": headers, "body": text.getvalue()}}}))
