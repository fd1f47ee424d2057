"""What a request costs Envoy, in instructions: `python -m bench.instructions`. No part of `headgate bench`.

Times depend on what else the machine does; instructions repeat within one or two percent. A gateway is started, and
beside its Envoy others with one thread each, under valgrind's callgrind, on the same configuration and the same
workers. `--without NAME` leaves out what is called so (a filter, a provider's filter, an access log): the difference
is what it costs. `--keep FOLDER` keeps callgrind's files, for callgrind_annotate. Needs valgrind.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.child import Child, end, logged
from bench.failure import Failure
from bench.gateway import Gateway
from bench.measure import Bench
from bench.one_gateway import one_gateway
from bench.ready import until_answered
from bench.subject import Subject, gateway_subject
from headgate.contract import BOOTSTRAP
from headgate.supervise.ports import free_port

_CLIENTS, _WARM_UP = 4, 60
_END_WITHIN_S = 60.0
_NAMED = ("http_filters", "access_log", "upstream_log")


def main() -> None:
    """Count, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--without", action="append", default=[], metavar="NAME", help="may be repeated")
    parser.add_argument("--requests", type=int, default=200, metavar="N", help="default: 200")
    parser.add_argument("--keep", type=Path, metavar="FOLDER")
    given = parser.parse_args()
    if not shutil.which("valgrind"):
        sys.exit("valgrind is not installed")
    try:
        _print(given.without, given.requests, given.keep)
    except Failure as failure:
        sys.exit(str(failure))


def _print(without: list[str], requests: int, keep: Path | None) -> None:
    with one_gateway() as (folder, client, started):
        whole = 0
        for number, name in enumerate(["", *without]):
            with _envoy(folder / f"envoy-{number}", started, name, client) as (subject, files):
                counted = _counted(Bench(client, 0.01), subject, files, requests)
            if keep:
                shutil.copytree(files, keep / (name or "all"), dirs_exist_ok=True)
            whole = whole or counted
            shown = f"{counted / 1000:8,.0f} thousand instructions a request"
            sys.stdout.write(
                f"{shown}, {(whole - counted) / 1000:,.0f} less without {name}\n" if name else f"{shown}\n"
            )
            sys.stdout.flush()


@contextmanager
def _envoy(folder: Path, started: Gateway, without: str, client: Child) -> Iterator[tuple[Subject, Path]]:
    """An Envoy like the gateway's, and where callgrind writes."""
    (folder / "counts").mkdir(parents=True)
    port = free_port()
    (pid,) = started.parts()["envoy"]
    bootstrap = _without(json.loads((started.state / BOOTSTRAP).read_bytes()), without)
    listener, *_ = bootstrap["static_resources"]["listeners"]
    listener["address"]["socket_address"]["port_value"] = port
    bootstrap["static_resources"]["listeners"] = [listener]
    bootstrap["admin"]["address"] = {"pipe": {"path": str(folder / "admin.sock")}}
    text = json.dumps(bootstrap)
    for written in ('"path": "spool/', "\\nspool/"):  # lines and records of its own
        text = text.replace(written, written.replace("spool", str(folder)))
    for name in ("rds", "cds"):
        dynamic = _without(json.loads((started.state / f"envoy/{name}.json").read_bytes()), without)
        (folder / f"{name}.json").write_text(json.dumps(dynamic))
        text = text.replace(f"envoy/{name}.json", str(folder / f"{name}.json"))
    (folder / "bootstrap.json").write_text(text)
    command = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={folder}/counts/%p"]
    command += [str(Path(f"/proc/{pid}/exe").readlink()), "-c", str(folder / "bootstrap.json"), "--concurrency", "1"]
    command += ["--disable-hot-restart", "-l", "error"]
    process = logged(command, folder / "log", cwd=started.state, env=_environment(pid))
    try:
        subject = gateway_subject(port, started.keys, {"envoy": (process.pid,)})
        until_answered(client, subject, started.check)
        yield subject, folder / "counts"
    finally:
        end(process, within_s=_END_WITHIN_S)


def _without(document: Any, name: str) -> Any:
    """The document without the members of that name in lists of filters and logs, and what routes say of them."""
    if isinstance(document, list):
        return [_without(one, name) for one in document]
    if not isinstance(document, dict):
        return document
    kept = {key: value for key, value in document.items() if not name or key != name}
    for key in _NAMED:
        if isinstance(kept.get(key), list):
            kept[key] = [one for one in kept[key] if one.get("name") != name]
    return {key: _without(value, name) for key, value in kept.items()}


def _environment(pid: int) -> dict[str, str]:
    entries = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)


def _counted(bench: Bench, subject: Subject, files: Path, requests: int) -> int:
    """Instructions per request, without those of as long a time with none."""
    bench.per_request(subject, _WARM_UP, _CLIENTS)
    _control(subject, "--instr=on")
    bench.per_request(subject, _WARM_UP, _CLIENTS)
    _dumped(subject, files)
    began = time.monotonic()
    bench.per_request(subject, requests, _CLIENTS)
    took = time.monotonic() - began
    with_requests = _dumped(subject, files)
    time.sleep(took)
    idle = _dumped(subject, files)
    if bench.counts.errors:
        raise Failure(f"answered wrongly: {dict(bench.counts.errors)}")
    return (with_requests - idle) // requests


def _dumped(subject: Subject, files: Path) -> int:
    """Instructions since the last time."""
    before = set(files.iterdir())
    _control(subject, "--dump")
    texts = [file.read_text() for file in set(files.iterdir()) - before]
    totals = [line.split()[1] for text in texts for line in text.splitlines() if line.startswith("totals:")]
    return sum(map(int, totals))


def _control(subject: Subject, option: str) -> None:
    (pid,) = subject.pids["envoy"]
    subprocess.run(
        ["callgrind_control", option, str(pid)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
        timeout=60,
    )


if __name__ == "__main__":
    main()
