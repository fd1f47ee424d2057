"""What a machine can give is looked at before anything is promised to clients."""

import resource
import subprocess
import sys

import pytest
from structlog.testing import capture_logs

from headgate.config.addresses import Address
from headgate.config.model import Listen
from headgate.supervise import machine

HTTP = Address("127.0.0.1", 8080)


def test_open_files_are_raised_as_far_as_this_user_may() -> None:
    code = (
        "import resource; from headgate.open_files import raise_open_files;"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (256, 512));"
        "print(raise_open_files(), *resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert found.stdout.split() == ["512", "512", "512"]


@pytest.mark.parametrize(
    ("listen", "open_files", "told"),
    [
        (Listen(http=HTTP, max_memory=2**20), 21_000, []),
        (Listen(http=HTTP, max_memory=2**20), resource.RLIM_INFINITY, []),
        (Listen(http=HTTP, max_memory=2**20), 20_999, ["listen.max_connections needs more open files"]),
        (Listen(http=HTTP, max_memory=2**40), 21_000, ["listen.max_memory is too much for this machine"]),
    ],
)
def test_what_is_short_is_told(listen: Listen, open_files: int, told: list[str]) -> None:
    with capture_logs() as lines:
        machine.tell_what_is_short(listen, open_files)
    assert [line["event"] for line in lines] == told


def test_a_machine_has_memory() -> None:
    assert 2**28 < machine.memory_bytes() < 2**50
