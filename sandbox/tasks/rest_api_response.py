"""Answer a name and the date for a number up to 100, and an error otherwise."""

import json
import sys
from datetime import UTC, datetime


def main() -> None:
    try:
        number = float(sys.argv[1])
    except (IndexError, ValueError):
        return finish("failure", client_error("Validation Error. The Argument Is Not A Number", 400))
    if not number <= 100:
        return finish("failure", client_error("Validation Error. Invalid Argument Value", 418))
    date = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    finish("success", {"name": "tomer", "date": date})


def client_error(message: str, status: int) -> dict[str, object]:
    return {"message": message, "statusCode": status, "name": "ClientError", "code": "", "status": status}


def finish(state: str, data: dict[str, object]) -> None:
    print(json.dumps({"state": state, "data": data}, separators=(",", ":"), ensure_ascii=False))


if __name__ == "__main__":
    main()
