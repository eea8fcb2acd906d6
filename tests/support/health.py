"""What /readyz says of TheEye's servers and of Redis, and the probes that it costs."""

from support.theeye import Call, StandIn

GATEWAY = "gateway: known sessions go on, new ones get 502 until it is back"


REDIS = "redis: polling carries the waits until it is back"


SUPERVISOR = "supervisor: nothing can be run"


def probes(theeye: StandIn) -> list[Call]:
    return [call for call in theeye.calls if call.path == "/api/status"]
