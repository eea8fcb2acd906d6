"""Test SYNC_REDIS_URL: what is read, what is refused, and that no error shows it."""

import certifi
import pytest

from app.redis_url import RedisUrl, read_redis_url
from app.setting_readers import redis_address

CA = certifi.where()
LOGIN = {"username": "sync", "password": "p@ss:/1"}


@pytest.mark.parametrize(
    ("text", "sentinels", "name", "options", "of_sentinels"),
    [
        ("redis+sentinel://h/theeye", [("h", 26379)], "theeye", {}, {}),
        ("REDIS+Sentinel://a:1,b,[::1]:65535/my%2Fname/", [("a", 1), ("b", 26379), ("::1", 65535)], "my/name", {}, {}),
        ("redis+sentinel://sync:p%40ss%3A%2F1@h/x/3", [("h", 26379)], "x", {**LOGIN, "db": 3}, {}),
        ("redis+sentinel://:secret@[fe80::1]/x?db=2", [("fe80::1", 26379)], "x", {"password": "secret", "db": 2}, {}),
        (
            f"rediss+sentinel://h/x?sentinel_username=watch&sentinel_password=a%20b&ssl_ca_certs={CA}",
            [("h", 26379)],
            "x",
            {"ssl": True, "ssl_ca_certs": CA},
            {"username": "watch", "password": "a b", "ssl": True, "ssl_ca_certs": CA},
        ),
        ("REDIS://sync:p%40ss%3A%2F1@h:7/1", [], "", {**LOGIN, "host": "h", "port": 7, "db": 1}, {}),
        *(
            (f"redis://:{text}@h/0?client_name=a,b", [], "", {"password": text, "db": 0, "client_name": "a,b"}, {})
            for text in ("p,w", "p@q,w")
        ),
        ("redis://h?decode_responses=1&socket_timeout=9&protocol=3&client_name=s", [], "", {"client_name": "s"}, {}),
    ],
)
def test_what_is_read(
    text: str, sentinels: list[object], name: str, options: dict[str, object], of_sentinels: dict[str, object]
) -> None:
    found = read_redis_url(redis_address(text))
    assert (list(found.sentinels), found.name) == (sentinels, name)
    assert found.options.items() >= options.items()
    assert found.options.keys() <= {*options, "host"}, "the others are the service's own"
    assert found.sentinel_options == of_sentinels


def test_nothing_secret_is_shown() -> None:
    text = "redis+sentinel://hunter2:hunter2@h/x?sentinel_password=hunter2"
    assert repr(read_redis_url(text)) == str(RedisUrl({}, (("h", 26379),), "x"))


SEVERAL = "must name one Redis, or its Sentinels like .*; a Redis Cluster is not supported"
CLUSTER = "must not name a Redis Cluster, which is not supported"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        *((f"{scheme}://hunter2@h:7000,h:7001", CLUSTER) for scheme in ("redis+cluster", "rediss+cluster", "cluster")),
        ("redis+sentinel://:hunter2@h", "must be like redis"),
        ("redis+sentinel://:hunter2@h/", "must be like redis"),
        ("redis+sentinel://:hunter2@/name", "must be like redis"),
        ("redis+sentinel://:hunter2@h/name/one", "must be like redis"),
        ("redis+sentinel://:hunter2@h/name/1/2", "must be like redis"),
        ("redis+sentinel://:hunter2@h/na me", "must be like redis"),
        ("redis+sentinel://:hunter2@h,/name", "must be like redis"),
        ("redis+sentinel://:hunter2@h:0/name", "must be like redis"),
        ("redis+sentinel://:hunter2@h:65536/name", "must be like redis"),
        ("redis+sentinel://:hunter2@h:six/name", "must be like redis"),
        ("redis+sentinel://:hunter2@h/name?sentinel_hunter2=1", "has an option for Sentinels that is neither"),
        ("redis+sentinel://h/name?hunter2=1", "has an option that redis-py does not know"),
        ("redis+sentinel://h/name?ssl_ca_certs=hunter2", "has an option that redis-py does not know"),
        *(
            (f"rediss{kind}?{query}", "has an option for TLS that cannot be used")
            for kind in ("://h", "+sentinel://h/name")
            for query in (
                *("ssl_ca_certs=/hunter2", "ssl_ca_data=hunter2", "ssl_ca_certs=%00", "ssl_min_version=1"),
                *("ssl_certfile=/hunter2", "ssl_keyfile=/hunter2", f"ssl_certfile={CA}", "ssl_ciphers=hunter2"),
            )
        ),
        ("redis://h?socket_timeout=hunter2", "has an option that redis-py does not know"),
        ("unix:///run/redis.sock?hunter2=1", "has an option that redis-py does not know"),
        *(
            (f"unix://{rest}", "must be like unix://")
            for rest in ("", "/", "hunter2/redis.sock", ":hunter2@h/x", "?db=2")
        ),
        *((f"{start}hunter2@h{rest}", SEVERAL) for start in ("redis://:", "REDISS://") for rest in (":1,h:2", ",h2/0")),
        ("sentinel://:hunter2@h/name", "must be a URL that begins with .* or redis[+]sentinel://"),
        ("redis+sentinel://:hunter2@h:1,:hunter2@h:2/name", "must be like redis"),
    ],
)
def test_what_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=f"^{words}") as raised:
        redis_address(text)
    assert "hunter2" not in str(raised.value)
