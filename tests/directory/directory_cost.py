"""What the directory costs a worker: `python -m tests.directory.directory_cost`, with 100,000 keys of 10,000 tenants.

Each key has scopes and limits, each tenant a plan, limits of its own and five models, each of 10,000 people a role.
"""

import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from headgate.directory.file import FILE
from headgate.directory.following import Following
from headgate.directory.rows import (
    Change,
    GrantEntry,
    KeyRow,
    LimitsEntry,
    Mark,
    MembershipEntry,
    PlanEntry,
    TenantEntry,
    UserEntry,
    change_to,
)
from headgate.directory.writer import Writer

KEYS, TENANTS = 100_000, 10_000
LOOKS = 100_000


def write(folder: Path, keys: int = KEYS, tenants: int = TENANTS) -> Writer:
    """A directory with all of them."""
    writer = Writer(folder)
    assert writer.open()
    writer.replace(Mark(keys, 1, bytes(32)), _chunks(keys, tenants))
    return writer


def digest(number: int) -> bytes:
    return random.Random(number).randbytes(32)  # noqa: S311 - the same in every run


def _chunks(keys: int, tenants: int) -> Iterator[tuple[Change, ...]]:
    yield tuple(change_to(PlanEntry(f"plan-{number}", {"rpm": 60, "tpm": 40000})) for number in range(10))
    for at in range(0, tenants, 1000):
        yield tuple(change for number in range(at, min(tenants, at + 1000)) for change in _tenant(number))
    for at in range(0, keys, 5000):
        yield tuple(change_to(_key(number, tenants)) for number in range(at, min(keys, at + 5000)))


def _tenant(number: int) -> Iterator[Change]:
    name, person = f"tenant-{number}", f"user_{number:020}"
    yield change_to(TenantEntry(name, plan=f"plan-{number % 10}", zones=("eu",), version=number))
    yield change_to(
        LimitsEntry(name, "tenant", name, {"rpm": 600, "monthly_usd": {"limit": 100, "soft": 80}}, number)
    )
    for model in range(5):
        yield change_to(GrantEntry(name, f"provider/model-{model}", number))
    yield change_to(UserEntry(person, "https://id.example.org/realms/company", f"{number:036}", version=number))
    yield change_to(MembershipEntry(name, person, "developer", number))


def _key(number: int, tenants: int) -> KeyRow:
    return KeyRow(
        id=f"key_{number:020}",
        tenant=f"tenant-{number % tenants}",
        digest=digest(number),
        pepper_id="0123456789abcdef",
        role="developer",
        endpoints=("chat", "embeddings"),
        models=("provider/model-1", "provider/model-2"),
        limits={"rpm": 60, "daily_tokens": 500000},
        ends_at=1_900_000_000.0,
        version=number,
    )


def worker_mb(folder: Path) -> float:
    """How much larger a process gets that loads it, at its peak."""
    program = (
        "import sys; from pathlib import Path; from headgate.directory.following import Following\n"
        "def size(name): return int(Path('/proc/self/status').read_text().split(name + ':')[1].split()[0])\n"
        "before = size('VmRSS'); following = Following(Path(sys.argv[1]))\n"
        "print(following.directory.version, size('VmHWM') - before)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(folder)], check=True, capture_output=True, text=True)
    version, grown = map(int, done.stdout.split())
    assert version
    return grown * 1024 / 1e6


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        began = time.perf_counter()
        writer = write(folder)
        _say(f"file: {(folder / FILE).stat().st_size / 1e6:.1f} MB, made in {time.perf_counter() - began:.2f} s")
        _say(f"memory of a worker: {worker_mb(folder):.1f} MB at its peak")
        began = time.process_time()
        following = Following(folder)
        _say(f"load: {time.process_time() - began:.2f} s of CPU")
        asked = [digest(number) for number in random.sample(range(KEYS), 20_000)]
        _measure("key", lambda directory, at: directory.key(asked[at % len(asked)]), following)
        _measure("unknown key", lambda directory, _: directory.key(bytes(32)), following)
        _measure(
            "tenant_version", lambda directory, at: directory.tenant_version(f"tenant-{at % TENANTS}"), following
        )
        began = time.perf_counter()
        for _ in range(LOOKS):
            following.catch_up()
        _say(f"catch_up, nothing new: {(time.perf_counter() - began) / LOOKS * 1e6:.2f} µs")
        began = time.process_time()
        writer.verify()
        _say(f"verify: {(time.process_time() - began) * 1e3:.0f} ms of CPU")
        writer._base_end = -(2**40)
        began = time.process_time()
        writer.merge()
        _say(f"merge: {time.process_time() - began:.2f} s of CPU")
        began = time.process_time()
        following.catch_up()
        _say(f"a new base, for who is up to date: {(time.process_time() - began) * 1e3:.0f} ms of CPU")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _measure(what: str, look: object, following: Following) -> None:
    began = time.process_time()
    for at in range(LOOKS):
        look(following.directory, at)  # type: ignore[operator]
    _say(f"{what}: {(time.process_time() - began) / LOOKS * 1e6:.2f} µs")


if __name__ == "__main__":
    main()
