"""What a gateway's processes hold, and whether they are still the same ones."""

import re
from pathlib import Path

from running_gateway import RunningGateway

MIB = 2**20


def pss_bytes(gateway: RunningGateway, prefix: str) -> int:
    """The memory of the parts whose name starts so: each page counted once among those who share it."""
    return sum(_pss(pid) for pid in gateway.pids(prefix).values())


def _pss(pid: int) -> int:
    found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    assert found
    return int(found[1]) * 1024


def identities(gateway: RunningGateway) -> dict[str, int]:
    """Part -> pid."""
    return gateway.pids("")


def assert_unharmed(gateway: RunningGateway, before: dict[str, int]) -> None:
    """No part was restarted and all are ready."""
    assert gateway.pids("") == before
    report = gateway.readyz()
    assert report["ready"], report
    assert not [name for name, part in report["parts"].items() if part.get("restarts")], report
