"""Write messages as JSON with python-json-logger, the extra `log`."""

import logging
from typing import Any

from pythonjsonlogger import json

from app.telemetry.redaction import redact
from app.telemetry.text import iso_time
from app.telemetry.trace import current

FIELDS = "%(asctime)s %(levelname)s %(name)s %(process)d %(message)s"
NAMES = {"asctime": "time", "levelname": "level", "name": "logger", "process": "pid", "exc_info": "traceback"}


class JsonFormatter(json.JsonFormatter):
    """Write a record as one JSON object, redacted."""

    def __init__(self) -> None:
        """Set the fields and their names, which docs/operating.md lists."""
        super().__init__(FIELDS, rename_fields=NAMES)

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - the base's name
        """Return the record's time in the format of the access log."""
        return iso_time(record.created)

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        """Add the id of the current request, if there is one."""
        trace = current()
        request_id = {"request_id": trace.request_id} if trace is not None else {}
        super().add_fields(log_data, record, request_id | message_dict)

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        """Redact every text field."""
        return {name: redact(value) if isinstance(value, str) else value for name, value in log_data.items()}
