"""Answer the length and checksum of a file, which the agent has written from a `data:` URL."""

import hashlib
import json
import sys
from pathlib import Path

path, algorithm = sys.argv[1:]
data = Path(path).read_bytes()
print(
    json.dumps({"state": "success", "data": {"bytes": len(data), algorithm: hashlib.new(algorithm, data).hexdigest()}})
)
