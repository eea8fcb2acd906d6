"""Read this service's data in Redis in a form that can be compared and restored.

Slots, owners and job ids are random: "<slot 1>" stands for the first slot in use or in the queue, "<id>" for any other
id, and "<soon>" for a time in milliseconds of Redis's clock, at most a minute from now.
"""

import json
import re
from collections.abc import Callable
from itertools import takewhile
from time import time
from typing import Any
from uuid import uuid4

from support.processes import CHECKOUT
from support.theeye import ACME, TASK

RECORDED = json.loads((CHECKOUT / "tests" / "data" / "redis_layout.json").read_text())
GUARDED = f"theeye-sync:{{{ACME.customer_id}:{TASK}}}"  # the beginning of the history guard's names

READ: dict[str, Callable[[Any, str], Any]] = {
    "hash": lambda client, name: client.hgetall(name),
    "zset": lambda client, name: {
        member: f"{score:.0f}" for member, score in client.zrange(name, 0, -1, withscores=True)
    },
    "set": lambda client, name: sorted(client.smembers(name)),
}
WRITE: dict[str, Callable[[Any, str, Any], Any]] = {
    "hash": lambda client, name, value: client.hset(name, mapping=value),
    "zset": lambda client, name, value: client.zadd(name, value),
    "set": lambda client, name, value: client.sadd(name, *value),
}
RANDOM = re.compile(r"\b([0-9a-f]{32}|[0-9a-f]{24})\b")  # slots, owners, jobs; a fingerprint is longer
TIME = re.compile(r"\b[0-9]{13}\b")


def job_ids(client: Any) -> list[str]:
    """Return the job ids of all idempotency keys."""
    return [job for name in client.keys("theeye-sync:key:*") if (job := client.hget(name, "job"))]


def messages(client: Any, pubsub: Any) -> list[str]:
    """Return the channels of the messages so far, without their random parts; `pubsub` listens to theeye-sync:*."""
    client.publish(last := "theeye-sync:last", "")
    told = iter(lambda: pubsub.get_message(timeout=20), None)
    got = [message["channel"] for message in takewhile(lambda message: message["channel"] != last, told)]
    return [RANDOM.sub("<id>", channel) for channel in got[1:]]  # the first acknowledges the subscription


def layout(client: Any) -> dict[str, Any]:
    """Return every name with its lifetime in hours and its value; replace random parts and times by fixed words."""
    slots = [slot for part in ("unread", "queue") for slot in client.zrange(f"{GUARDED}:{part}", 0, -1)]
    words = {slot: f"<slot {number}>" for number, slot in enumerate(slots, 1)}
    found = {}
    for name in filter(is_recorded, client.scan_iter("theeye-sync:*")):
        kind = client.type(name)
        text = TIME.sub(soon, json.dumps(READ[kind](client, name)))
        text = RANDOM.sub(lambda match: words.get(match[0], "<id>"), text)
        found[name] = {"type": kind, "hours": round(client.ttl(name) / 3600), "value": json.loads(text)}
    return found


def is_recorded(name: str) -> bool:
    """Return whether a name is part of the record; durations are newer, and written in the background."""
    return not name.startswith("theeye-sync:durations:")


def soon(match: re.Match[str]) -> str:
    """Replace a time in milliseconds of Redis's clock."""
    assert 0 < int(match[0]) / 1000 - time() < 60
    return "<soon>"


def restore(client: Any, state: dict[str, Any], job: str = "") -> None:
    """Write a recorded state to Redis, with this job's id in its keys."""
    words = {"<soon>": f"{(time() + 60) * 1000:.0f}", "<slot 1>": uuid4().hex, "<slot 2>": uuid4().hex}
    for name, recorded in state.items():
        text = json.dumps(recorded["value"]).replace('"job": "<id>"', f'"job": "{job}"')
        text = re.sub("<.*?>", lambda match: words.get(match[0], uuid4().hex), text)
        WRITE[recorded["type"]](client, name, json.loads(text))
        client.expire(name, recorded["hours"] * 3600)
