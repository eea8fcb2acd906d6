"""What schemathesis must not generate: rules between parameters, which a document can only tell in words."""

from typing import Any

import schemathesis


@schemathesis.hook  # type: ignore[untyped-decorator]
def filter_case(context: Any, case: Any) -> bool:
    """Whether a request is sent."""
    query, headers = case.query or {}, case.headers or {}
    if "on_disconnect" in query and "Idempotency-Key" in headers:
        return False  # 400 together, each valid alone
    if "response" in query and {"result", "full"} & set(query):
        return False  # a mode that is not chosen does not look at its value, however wrong
    return all(isinstance(value, str) for value in query.values())  # of a name given twice the first value counts
