"""What a request, or a streamed chunk, costs Envoy in instructions: `python -m bench.instructions`.

Times depend on what else the machine does; instructions repeat within one or two percent. A gateway is started, and
beside its Envoy others with one thread each, under valgrind's callgrind, on the same configuration and the same
workers. `--without NAME` leaves out what is called so (a filter, a provider's filter, an access log): the difference
is what it costs. `--chunks` counts a chunk of a stream instead, here and in a plain Envoy: that depends on how many
arrive together, so on a machine that is busy it says less. `--keep FOLDER` keeps callgrind's files, for
callgrind_annotate. Needs valgrind. No part of `headgate bench`.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.child import Child, end, logged
from bench.failure import Failure
from bench.gateway import Gateway
from bench.measure import Bench
from bench.one_gateway import one_gateway
from bench.plain import plain_bootstrap
from bench.ready import until_answered
from bench.subject import Subject, gateway_subject, plain_subject
from headgate.contract import BOOTSTRAP
from headgate.supervise.ports import free_port

_CLIENTS, _WARM_UP = 4, 60
_STREAMS, _SHORT, _LONG = 2, 60, 300  # more at once, or faster, and Envoy would read several chunks at a time
_END_WITHIN_S = 60.0
_NAMED = ("http_filters", "access_log", "upstream_log")


def main() -> None:
    """Count, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--without", action="append", default=[], metavar="NAME", help="may be repeated")
    parser.add_argument("--requests", type=int, default=200, metavar="N", help="default: 200")
    parser.add_argument("--chunks", action="store_true", help="of streams, and of plain Envoy's")
    parser.add_argument("--keep", type=Path, metavar="FOLDER")
    given = parser.parse_args()
    if not shutil.which("valgrind"):
        sys.exit("valgrind is not installed")
    try:
        _print(given.without, None if given.chunks else given.requests, given.keep)
    except Failure as failure:
        sys.exit(str(failure))


def _print(without: list[str], requests: int | None, keep: Path | None) -> None:
    """`requests` None: of chunks."""
    with one_gateway() as (folder, client, started):
        whole = 0.0
        if requests is None:
            with _plain(folder / "envoy-plain", started, client) as (subject, files):
                plain = _per_chunk(Bench(client, 0.01), subject, files)
            sys.stdout.write(f"{plain / 1000:8,.1f} thousand instructions a chunk, plain Envoy\n")
        for number, name in enumerate(["", *without]):
            with _envoy(folder / f"envoy-{number}", started, name, client) as (subject, files):
                bench = Bench(client, 0.01)
                counted = (
                    _per_request(bench, subject, files, requests) if requests else _per_chunk(bench, subject, files)
                )
            if keep:
                shutil.copytree(files, keep / (name or "all"), dirs_exist_ok=True)
            whole = whole or counted
            shown = f"{counted / 1000:8,.1f} thousand instructions a {'request' if requests else 'chunk'}"
            less = f", {(whole - counted) / 1000:,.1f} less without {name}" if name else ""
            sys.stdout.write(f"{shown}{less}\n")
            sys.stdout.flush()


@contextmanager
def _plain(folder: Path, started: Gateway, client: Child) -> Iterator[tuple[Subject, Path]]:
    """An Envoy that does nothing else, in front of the same upstream."""
    port = free_port()
    (pid,) = started.parts()["envoy"]
    with _counting(folder, plain_bootstrap(port, started.upstream), started, pid) as process_pid:
        subject = plain_subject(port, {"envoy": (process_pid,)})
        until_answered(client, subject, lambda: None)
        yield subject, folder / "counts"


@contextmanager
def _envoy(folder: Path, started: Gateway, without: str, client: Child) -> Iterator[tuple[Subject, Path]]:
    """An Envoy like the gateway's, and where callgrind writes."""
    folder.mkdir()
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
    with _counting(folder, json.loads(text), started, pid) as process_pid:
        subject = gateway_subject(port, started.keys, {"envoy": (process_pid,)})
        until_answered(client, subject, started.check)
        yield subject, folder / "counts"


@contextmanager
def _counting(folder: Path, bootstrap: Any, started: Gateway, edge: int) -> Iterator[int]:
    """The program that runs as `edge`, with this configuration under callgrind; its pid."""
    (folder / "counts").mkdir(parents=True)
    (folder / "bootstrap.json").write_text(json.dumps(bootstrap))
    command = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={folder}/counts/%p"]
    command += [str(Path(f"/proc/{edge}/exe").readlink()), "-c", str(folder / "bootstrap.json"), "--concurrency", "1"]
    command += ["--disable-hot-restart", "-l", "error"]
    process = logged(command, folder / "log", cwd=started.state, env=_environment(edge))
    try:
        yield process.pid
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


def _per_request(bench: Bench, subject: Subject, files: Path, requests: int) -> float:
    """Without the instructions of as long a time with no request."""
    _begin(bench, subject, files)
    counted, took = _counted(subject, files, lambda: bench.per_request(subject, requests, _CLIENTS))
    idle, _ = _counted(subject, files, lambda: time.sleep(took))
    return _known(bench, (counted - idle) / requests)


def _per_chunk(bench: Bench, subject: Subject, files: Path) -> float:
    """What longer streams cost more, without the instructions of as much more time."""
    _begin(bench, subject, files)
    short, took_short = _counted(subject, files, lambda: bench.streams(subject, _STREAMS, _SHORT))
    long, took_long = _counted(subject, files, lambda: bench.streams(subject, _STREAMS, _LONG))
    idle, _ = _counted(subject, files, lambda: time.sleep(took_long - took_short))
    return _known(bench, (long - short - idle) / (_STREAMS * (_LONG - _SHORT)))


def _begin(bench: Bench, subject: Subject, files: Path) -> None:
    bench.per_request(subject, _WARM_UP, _CLIENTS)
    _control(subject, "--instr=on")
    bench.per_request(subject, _WARM_UP, _CLIENTS)
    _dumped(subject, files)


def _counted(subject: Subject, files: Path, run: Callable[[], object]) -> tuple[int, float]:
    """How many instructions that takes, and how many seconds."""
    began = time.monotonic()
    run()
    took = time.monotonic() - began
    return _dumped(subject, files), took


def _known(bench: Bench, counted: float) -> float:
    if bench.counts.errors:
        raise Failure(f"answered wrongly: {dict(bench.counts.errors)}")
    return counted


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
