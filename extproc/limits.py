"""What a request that has its plan asks of the limiter, which is in the same worker (headgate/limiting.py)."""

from extproc.exchange import Exchange
from extproc.steps.plan import factor_of, user_of_request
from extproc.steps.units import unit_of
from headgate.limiting import Ask


def ask_of(exchange: Exchange, epoch: str) -> Ask:
    """`epoch` says which Envoy asks. What is about something made before is a request, and needs no more."""
    incoming, surface = exchange.incoming, exchange.surface
    model = exchange.base_model if exchange.alias else exchange.model
    who = epoch, incoming.tenant, incoming.key_id, model
    if surface.by_id:
        return Ask(*who, "", incoming.request_id, surface.name, directory=incoming.directory)
    use, first = exchange.use, exchange.chain[0]
    is_adapter = first.base is not None
    return Ask(
        *who,
        user_of_request(exchange),
        incoming.request_id,
        surface.name,
        input=use.prompt if use else 0,
        output=use.answer if use else 0,
        times=use.answers if use else 1,
        unit=unit_of(exchange) if surface.passes else "",
        units=exchange.units or 0 if use else 0,
        price_factor=factor_of(exchange),
        adapter=first.model if is_adapter else "",
        adapter_cluster=first.cluster if is_adapter else "",
        directory=incoming.directory,
    )
