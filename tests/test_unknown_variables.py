"""Test variables that look like settings but are none."""

from collections.abc import Callable

from support.processes import Service

from app.unknown_variables import unknown_variables


def test_a_variable_that_is_no_setting_is_named_with_the_nearest() -> None:
    kubernetes = {
        "SYNC_SERVICE_HOST": "10.0.0.1",
        "SYNC_SERVICE_PORT": "80",
        "SYNC_SERVICE_PORT_HTTP": "80",
        "SYNC_PORT": "tcp://10.0.0.1:6090",
        "SYNC_PORT_6090_TCP": "tcp://10.0.0.1:6090",
        "SYNC_PORT_6090_TCP_PROTO": "tcp",
        "SYNC_PORT_6090_TCP_PORT": "6090",
        "SYNC_PORT_53_UDP_ADDR": "10.0.0.1",
        "SYNC_API_SERVICE_HOST": "10.0.0.1",
        "SYNC_API_PORT": "udp://10.0.0.1:6090",
    }
    ours = {
        "SYNC_BIND": "x",
        "SYNC_CHECK_TOKEN": "x",
        "SYNC_URL": "x",
        "SYNC_TOKEN": "x",
        "PATH": "x",
        "MY_SYNC_BINDS": "x",
    }
    assert unknown_variables(kubernetes | ours) == {}
    assert unknown_variables({"SYNC_MAX_WAITTING": "hunter2", "SYNC_PORT": "6090", "SYNC_REDIS": ""}) == {
        "SYNC_MAX_WAITTING": "SYNC_MAX_WAITING",
        "SYNC_PORT": "SYNC_LOG",
        "SYNC_REDIS": "SYNC_REDIS_URL",
    }
    for name, setting in (
        ("SYNC_WAIT", "SYNC_WAIT_SECONDS"),
        ("SYNC_TTL", "SYNC_SESSION_TTL"),
        ("SYNC_Strict", "SYNC_STRICT"),
        ("sync_redis", "SYNC_REDIS_URL"),
    ):
        assert unknown_variables({name: ""}) == {name: setting}


def test_the_start_warns_of_each_once(service: Callable[..., Service]) -> None:
    """This holds for several workers, too; the value is not shown."""
    running = service(workers=2, redis_ulr="redis://:hunter2@h")
    assert running.log_text().count("SYNC_REDIS_ULR is no setting; the nearest is SYNC_REDIS_URL") == 1
    assert "hunter2" not in running.log_text()
