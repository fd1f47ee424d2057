"""A disk that is nearly full: requests are refused before a provider is asked, and taken again when there is room."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from limited import Limited, ask, limited, until
from running_gateway import RunningGateway, running_gateway
from upstreams import Engine


@pytest.fixture
def setup(engine: Engine) -> Limited:
    return limited(engine, {"acme": {"rpm": 1000}}, spool={"min_free": "1MiB"})


def assert_refused(gateway: RunningGateway, reply: httpx2.Response, engine: Engine) -> None:
    assert reply.status_code == 503
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["x-headgate-error-source"] == "gateway"
    assert int(reply.headers["retry-after"]) >= 1
    error = reply.json()["error"]
    assert (error["type"], error["code"]) == ("server_error", "spool_full")
    assert not engine.has_seen(reply.headers["x-request-id"])


async def test_min_free_is_more_than_there_is(setup: Limited, engine: Engine, tmp_path: Path) -> None:
    """Decided anew twice a second, by the limit of the day: an edit of the file is enough."""
    with running_gateway(tmp_path, setup.config, {}) as gateway:
        assert ask(gateway, setup.keys["acme"]).status_code == 200
        path = tmp_path / "gateway.yaml"
        usual = path.read_text()
        path.write_text(json.dumps(json.loads(usual) | {"spool": {"min_free": "1024GiB"}}))
        await until(lambda: all_answer(gateway, setup, 503))
        for _ in range(5):
            assert_refused(gateway, ask(gateway, setup.keys["acme"]), engine)
        assert gateway.get("/v1/models", setup.keys["acme"]).status_code == 503
        said = gateway.readyz()
        assert not said["ready"]
        assert "spool.min_free is 1099511627776" in said["parts"]["spool"]["detail"]
        path.write_text(usual)
        await until(lambda: all_answer(gateway, setup, 200))
        assert gateway.readyz()["ready"]


def all_answer(gateway: RunningGateway, setup: Limited, status: int) -> bool:
    """Workers look at the disk one by one; many requests in a row meet each of them."""
    return all(ask(gateway, setup.keys["acme"]).status_code == status for _ in range(8))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB where the spool will be; needs the right to mount one."""
    spool = tmp_path / "state/spool"
    spool.mkdir(parents=True, mode=0o700)
    (tmp_path / "state").chmod(0o700)
    command = ["mount", "-t", "tmpfs", "-o", "size=8m,mode=700", "headgate-test", str(spool)]
    mounted = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    if mounted.returncode:
        pytest.skip(f"may not mount: {mounted.stderr.strip()}")  # the test above needs no right at all
    yield spool
    subprocess.run(["umount", str(spool)], timeout=20, check=True)


async def test_a_real_disk_fills_up(setup: Limited, engine: Engine, tmp_path: Path, small_disk: Path) -> None:
    """No line is lost on the way: the refusals begin while there is room for what runs."""
    with running_gateway(tmp_path, setup.config, {}) as gateway:
        assert ask(gateway, setup.keys["acme"]).status_code == 200
        (small_disk / "other-files").write_bytes(bytes(7 * 2**20 + 300_000))
        await until(lambda: all_answer(gateway, setup, 503))
        refused = ask(gateway, setup.keys["acme"])
        assert_refused(gateway, refused, engine)
        assert gateway.end_line(refused.headers["x-request-id"])["status"] == 503
        assert b"write_failed: 0" in gateway.admin("/stats?filter=^filesystem.write_failed")
        (small_disk / "other-files").unlink()
        await until(lambda: all_answer(gateway, setup, 200))
        said = [path.read_text() for path in gateway.state.glob("log/filters-*.log")]
        assert any("spool is short of room" in text for text in said)
        assert any("spool has room again" in text for text in said)
