"""Simulate TheEye's gateway: log users in, and return the session of a token."""

import secrets
import threading
import time

from flask import Blueprint, Response, request

from sandbox.identity import (
    CUSTOMER,
    CUSTOMERS,
    EMAIL,
    PASSWORD,
    USER,
    USER_ID,
    customer_document,
    customer_named,
)
from sandbox.store import Store
from sandbox.web import Refused, answer, session_customer

SESSION_SECONDS = 24 * 60 * 60
_USER = {"id": USER_ID, "name": USER.capitalize(), "username": USER, "email": EMAIL}


def gateway(store: Store, stopping: threading.Event) -> Blueprint:
    """Return a blueprint with the gateway's routes."""
    routes = Blueprint("gateway", __name__)

    @routes.post("/api/auth/login")
    def login() -> Response:
        sent = request.authorization
        if sent is None or (sent.username, sent.password) != (USER, PASSWORD):
            raise unauthorized()
        customer = customer_named(request.args.get("customer", CUSTOMER))
        if customer is None:
            raise unauthorized()
        token = secrets.token_hex(32)
        store.add_token(token, customer, time.time() + SESSION_SECONDS)
        return answer({"access_token": token})

    @routes.get("/api/session/profile")
    def profile() -> Response:
        customer = session_customer(store)
        if customer is None:
            raise unauthorized()
        scopes = request.args.getlist("scopes[]") + request.args.getlist("scopes")
        if "id" in scopes:
            # TheEye never answers this request; the sandbox answers when it stops.
            stopping.wait()
        return answer(_short(customer, scopes) if scopes else _long(customer))

    return routes


def unauthorized() -> Refused:
    """Return the gateway's 401 with a stack trace, as TheEye sends it."""
    stack = "Error: Unauthorized\n    at bearer (/app/core/passport.js:38:17)\n    at next (/app/router.js:271:10)"
    return Refused(401, {"message": "Unauthorized", "statusCode": 401, "stack": stack})


def _short(customer: str, scopes: list[str]) -> dict[str, object]:
    organization = customer_document(customer)
    parts = {"principal": _USER, "organization": {**organization, "alias": customer}}
    return {scope: parts[scope] for scope in scopes if scope in parts}


def _long(customer: str) -> dict[str, object]:
    return {
        **_USER,
        "credential": "owner",
        "enabled": True,
        "customers": [{"id": identifier, "name": name} for name, identifier in CUSTOMERS.items()],
        "current_customer": customer_document(customer),
    }
