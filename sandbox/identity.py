"""Define who exists in the sandbox: one user, two organisations, one token that never expires."""

from typing import Any

CUSTOMER = "acme"
CUSTOMER_ID = "5e0000000000000000000001"
TOKEN = "demo-token"
USER = "ada"
PASSWORD = "lovelace"
USER_ID = "5e00000000000000000000a1"
EMAIL = "ada@example.org"
HOST_ID = "5e00000000000000000000b1"

# `beta` has no tasks; its sessions get 409 on the paths of `acme`.
CUSTOMERS: dict[str, str] = {CUSTOMER: CUSTOMER_ID, "beta": "5e0000000000000000000002"}


def who() -> dict[str, str]:
    """Return the user as in a job's result, with TheEye's order of keys."""
    return {"email": EMAIL, "id": USER_ID, "username": USER}


def customer_named(name_or_id: str) -> str | None:
    """Return the name of the organisation with this name or id."""
    names = {identifier: name for name, identifier in CUSTOMERS.items()}
    return name_or_id if name_or_id in CUSTOMERS else names.get(name_or_id)


def customer_document(name: str) -> dict[str, Any]:
    """Return an organisation in the gateway's form."""
    return {"id": CUSTOMERS[name], "name": name, "display_name": name.capitalize(), "config": {}}
