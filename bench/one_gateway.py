"""A gateway with an upstream and a client, for the benches that compare it with nothing but itself."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.child import Child, running
from bench.gateway import Gateway, gateway
from bench.ready import until_answered
from bench.subject import gateway_subject


@contextmanager
def one_gateway() -> Iterator[tuple[Path, Child, Gateway]]:
    """A folder for what is measured beside it, the client, and the gateway, all of whose parts are there."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headgate-bench-")))
        upstream = int(stack.enter_context(running("bench.upstream", "10")).line())
        client = stack.enter_context(running("bench.client"))
        started = stack.enter_context(gateway(folder / "gateway", upstream))
        until_answered(client, gateway_subject(started.port, started.keys, {}), started.check)
        started.wait_for_the_rest()
        yield folder, client, started
