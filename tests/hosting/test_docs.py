"""Test docs/hosting.md: run its commands, and compare the values that belong together."""

import re
import runpy
import subprocess
from pathlib import Path

from support.codes import NGINX as CODES
from support.codes import codes_with_statuses
from support.host_checks import DEPLOY, ask
from support.processes import CHECKOUT, Process, free_port, need, wait_until
from support.tls import make_certificate

from app import Settings

PAGE = (CHECKOUT / "docs" / "hosting.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
NGINX = (DEPLOY / "nginx.conf").read_text()
INSTALLED = "/etc/nginx/conf.d/theeye-sync.conf"


def commands(word: str) -> list[str]:
    """Return every block of commands that contains this word."""
    found = [block for block in BLOCKS if word in block]
    assert found, word
    return found


def shell(text: str) -> None:
    subprocess.run(["bash", "-euc", text], cwd=CHECKOUT, check=True, capture_output=True, timeout=30)


def test_an_ordinary_user_starts_nginx(tmp_path: Path) -> None:
    need("nginx", "nginx-light")
    [block] = commands("nginx -p")
    port = free_port()
    running = Process()
    running.launch(
        ["bash", "-euc", block.replace("/tmp/theeye-nginx", str(tmp_path)).replace(":8080", f":{port}")], cwd=CHECKOUT
    )
    try:
        wait_until(lambda: (tmp_path / "nginx.pid").exists(), 30, "nginx")
        got = ask(f"http://127.0.0.1:{port}", "/api/status")
        assert got.status in (200, 502), "as its gunicorn is there or not"
        assert got.header("Server") == "nginx"
        wait_until(lambda: "GET" in (tmp_path / "theeye-sync.access.log").read_text(), 20, "the access log")
    finally:
        running.close()


def test_all_that_can_be_switched_on_in_nginx_conf(tmp_path: Path) -> None:
    nginx = need("nginx", "nginx-light")
    config = tmp_path / "theeye-sync.conf"
    config.write_text(NGINX.replace("/etc/ssl/theeye-sync/", f"{tmp_path}/").replace("/var/log/nginx/", f"{tmp_path}/"))
    (tmp_path / "nginx.conf").write_text((DEPLOY / "nginx-alone.conf").read_text())
    make_certificate(tmp_path, "fullchain.pem", "privkey.pem", "localhost")
    changing = commands("sed -i")
    assert len(changing) == 3, "TLS, a path of its own, a second instance"
    for block in changing:
        before = config.read_text()
        shell(block.replace(INSTALLED, str(config)))
        assert config.read_text() != before
        checked = subprocess.run([nginx, "-t", "-p", tmp_path, "-c", "nginx.conf"], capture_output=True, text=True)
        assert checked.returncode == 0, checked.stderr
        assert "warn" not in checked.stderr
    done = config.read_text()
    assert not re.search(r"^\s*#\S", done, re.MULTILINE), "nothing is left that could be switched on"
    assert "location /sync/ {" in done
    assert "proxy_set_header X-Forwarded-Prefix /sync;" in done


def test_the_second_unit(tmp_path: Path) -> None:
    def here(text: str) -> str:
        return text.replace("/etc/", f"{tmp_path}/").replace("deploy/theeye", f"{tmp_path}/theeye")

    [first] = commands("printf")
    [second] = commands("theeye-sync-2")
    (tmp_path / "systemd/system").mkdir(parents=True)
    (tmp_path / "theeye-sync.service").write_text(here((DEPLOY / "theeye-sync.service").read_text()))
    shell("\n".join(line for line in here(first + second).splitlines() if "systemctl" not in line))
    unit = (tmp_path / "systemd/system/theeye-sync-2.service").read_text()
    assert f"\nEnvironmentFile={tmp_path}/theeye-sync-2.env\n" in unit
    names = re.findall(r"^(SYNC_\w+)=", (tmp_path / "theeye-sync-2.env").read_text(), re.MULTILINE)
    assert names == ["SYNC_GATEWAY_URL", "SYNC_SUPERVISOR_URL", "SYNC_PROXIES", "SYNC_BIND"]


def value(directive: str) -> str:
    """Return the first value of a directive in nginx.conf."""
    found = re.search(rf"^ *{directive} +([^;]+);", NGINX, re.MULTILINE)
    assert found, directive
    return found[1]


def test_the_values_of_nginx_conf_fit_the_settings() -> None:
    settings = Settings()
    longest = settings.wait_seconds + 2 * settings.call_timeout + 30
    assert float(value("proxy_read_timeout").removesuffix("s")) >= longest
    assert value("client_max_body_size") == f"{settings.max_body >> 20}m"
    assert value("server").split()[0] == settings.bind
    gunicorn = runpy.run_path(str(CHECKOUT / "gunicorn.conf.py"))
    assert float(value("keepalive_timeout").removesuffix("s")) < gunicorn["keepalive"]


def test_the_limit_is_the_one_that_the_page_names() -> None:
    rate, burst = re.search(r"rate=(\d+)r/s", NGINX), re.search(r"burst=(\d+)", NGINX)
    assert rate
    assert burst
    assert f"{rate[1]} requests a second, and {burst[1]} more at once" in PAGE


def test_the_codes_of_nginx_conf_are_explained() -> None:
    codes = set(re.findall(r'"code":"(E[A-Z]+)"', NGINX))
    assert codes - codes_with_statuses().keys() == CODES.keys()
    assert {code for code in codes if f"`{code}`" in PAGE} >= CODES.keys()


def test_every_file_that_the_page_names_is_there() -> None:
    for name in re.findall(r"\]\(([^)#]+)", PAGE):
        assert (CHECKOUT / "docs" / name).exists(), name
    for name in re.findall(r"`(nginx\S*\.conf|theeye-sync\.service)`", PAGE):
        assert (DEPLOY / name).exists(), name
