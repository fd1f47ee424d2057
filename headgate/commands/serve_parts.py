"""`headgate serve`: one part in this process. Parts are started by module name; this module knows none of them."""

import importlib
import itertools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click
import msgspec
import uvloop

from headgate import contract, logs
from headgate.commands.network import network_of, network_options, serve_on_network
from headgate.commands.options import DurationType, state_option
from headgate.snapshot import Snapshot, read_snapshot
from headgate.worker import Tables, TablesError, WorkerOptions, run

_SOURCE = "Tables come from --config, or from the state folder of `headgate up`; SIGHUP reads them again."
_FROM_GATEWAY = "On a network they come from the gateway whose services.filters names this worker."
_ON_NETWORKS = ("filters",)

T = TypeVar("T")


@click.group("serve")
def command() -> None:
    """Run one part alone, as containers do."""


def _worker_command(part: str, what: str) -> click.Command:
    @click.command(part, help=" ".join((what, _SOURCE, *([_FROM_GATEWAY] if part in _ON_NETWORKS else []))))
    @click.option("-c", "--config", type=click.Path(path_type=Path), envvar="HEADGATE_CONFIG", help="A gateway.yaml.")
    @state_option
    @click.option("--worker", type=click.IntRange(0, 255), default=0, show_default=True, help="Number of the worker.")
    @click.option("--address", help="gRPC address.  [default: the worker's Unix socket below the state folder]")
    @(network_options if part in _ON_NETWORKS else _as_it_is)
    @click.option("--lifeline", is_flag=True, help="End when standard input does.")
    @click.option(
        "--drain-timeout",
        type=DurationType(),
        default="30s",
        show_default=True,
        help="How long answers that are being translated may go on after SIGTERM.",
    )
    def serve(
        config: Path | None,
        state: Path,
        worker: int,
        address: str | None,
        lifeline: bool,
        drain_timeout: float,
        **network: Any,
    ) -> None:
        logs.configure()
        if found := _or_refuse(lambda: network_of(address, config, network)):
            options = WorkerOptions(part, address or "", lifeline, drain_timeout, contract.DIRECTORY)
            _or_refuse(lambda: serve_on_network(options, found, state))
            return
        _or_refuse(_compiled(config) if config else _accepted(state))  # paths as they were given, and nothing touched
        read = _compiled(config.absolute()) if config else _accepted(state.absolute())
        said, directory = None, state.absolute() / contract.DIRECTORY
        if address is None:
            os.chdir(state)  # socket paths are relative: 107 bytes are all that a Unix socket's path may have
            contract.RUN.mkdir(mode=0o700, exist_ok=True)
            address = f"unix:{contract.worker_socket(worker)}"
            said = contract.worker_generation(worker)
        options = WorkerOptions(
            part=part, address=address, lifeline=lifeline, drain_s=drain_timeout, directory=directory
        )
        _or_refuse(lambda: run(options, Tables(read, said)))

    return serve


def _accepted(state: Path) -> Callable[[], Snapshot]:
    path = state / contract.SNAPSHOT

    def read() -> Snapshot:
        try:
            return read_snapshot(path)
        except FileNotFoundError:
            hint = "give --config, or start `headgate up` with this state folder first"
            raise TablesError(f"{path} is not there: {hint}") from None
        except (OSError, msgspec.DecodeError) as error:
            raise TablesError(f"{path}: {error}") from error

    return read


def _compiled(config: Path) -> Callable[[], Snapshot]:
    generations = itertools.count(1)

    def read() -> Snapshot:
        check: Callable[..., Any] = importlib.import_module("headgate.config.check").check
        checked = check(config, os.environ)
        if checked.gateway is None:
            raise TablesError("\n".join(map(str, checked.problems)))
        if url := checked.gateway.services.counters:
            os.environ[contract.COUNTERS_URL_ENV] = url
        compiled: Callable[..., Snapshot] = importlib.import_module("headgate.compile").compile_snapshot
        return compiled(checked.gateway, next(generations))

    return read


def _as_it_is(command: Callable[..., Any]) -> Callable[..., Any]:
    return command


def _or_refuse(work: Callable[[], T]) -> T:
    try:
        return work()
    except TablesError as error:
        _refuse(str(error))


def _refuse(text: str) -> NoReturn:
    click.echo(text, err=True)
    sys.exit(1)


for _part, _what in {
    "authz": "Envoy's ext_authz server: who is calling.",
    "extproc": "Envoy's ext_proc server: what is asked for, and the plan.",
    "ratelimit": "Envoy's rate limit server: whether a request may go on now.",
    "filters": "All of Envoy's gRPC filters in one process.",
}.items():
    command.add_command(_worker_command(_part, _what))


@command.command("ledger")
@state_option
@click.option("--lifeline", is_flag=True, help="End when standard input does.")
def ledger(state: Path, lifeline: bool) -> None:
    """The spool's follower: settles what the limiter has reserved. The counters' URL comes in HEADGATE_COUNTERS."""
    logs.configure()
    os.chdir(state)
    importlib.import_module("ledger.service").run(lifeline=lifeline)


@command.command("simulator")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 takes a free one.")
@click.option("--ttft", type=DurationType(), default="150ms", show_default=True, help="Time to the first token.")
@click.option("--token-time", type=DurationType(), default="20ms", show_default=True, help="Time for each token.")
@click.option("--record", type=click.Path(path_type=Path), help="Append what is received to this file.")
def simulator(host: str, port: int, ttft: float, token_time: float, record: Path | None) -> None:
    """An OpenAI-compatible engine with deterministic text and realistic timing."""
    logs.configure()
    options = importlib.import_module("engines.simulator.options").Options(
        ttft_s=ttft, token_s=token_time, record=record
    )
    serve = importlib.import_module("engines.simulator.serve").serve
    uvloop.run(serve(host, port, options, lambda real: click.echo(f"listening on http://{host}:{real}")))
