"""Log lines, as another process reads them from stderr."""

import json
import subprocess
import sys

import pytest

from headgate.logs import redacted

KEY = "hg-" + "a1B2" * 10 + "xyz"

SCRIPT = f"""
import logging, structlog
from headgate import logs
logs.configure()
log = structlog.get_logger()
log.info("started", part="envoy", pid=7)
log.debug("never seen")
log.warning("key {KEY} refused", api_key="plain", headers={{"authorization": "Bearer abc.def.ghi"}})
logging.getLogger("library").warning("to redis://me:%s@host", "hunter2")
try:
    raise ValueError("sk-proj-0123456789")
except ValueError:
    log.exception("failed")
"""


def test_every_line_is_json_without_credentials() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["event"] for line in lines] == [
        "started",
        "key hg-*** refused",
        "to redis://me:***@host",
        "failed",
    ]
    assert lines[0] | {"time": "T"} == {
        "event": "started",
        "level": "info",
        "part": "envoy",
        "pid": 7,
        "time": "T",
    }
    assert lines[0]["time"].endswith("Z")
    for secret in (KEY, "plain", "abc.def", "hunter2", "sk-proj-0"):
        assert secret not in done.stderr


def test_a_reader_that_went_away_does_not_end_the_writer() -> None:
    script = "from headgate import logs; import structlog, os; logs.configure(); r, w = os.pipe(); os.close(r)\n"
    script += "os.dup2(w, 2); structlog.get_logger().info('lost'); print('alive')"
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, check=False)
    assert done.stdout == "alive\n"


@pytest.mark.parametrize(
    "value",
    [
        "task-force-one and risk-management",
        {"prompt_tokens": 12, "max_tokens": 5, "key_id": "ci", "ready": True},
        "https://host:8443/path@x",
    ],
)
def test_what_only_looks_similar_is_kept(value: object) -> None:
    assert redacted(value) == value
