"""Which version of an adapter a user gets, of two that share its requests: for good, whichever worker answers."""

from extproc.exchange import Exchange
from extproc.steps.plan import user_of
from extproc.steps.split import variant_of
from headgate.snapshot import SplitRow


def choose_version(exchange: Exchange) -> None:
    """Leaves in `targets` those of one version of the adapter. What goes on from a response stays where that is."""
    alias = exchange.alias
    if alias is None or exchange.response_id:
        return
    name = alias.versions[0].engine_name
    if len(alias.versions) > 1:
        split = SplitRow("user", {version.engine_name: version.weight for version in alias.versions})
        user = user_of(exchange.document, exchange.surface)
        name = variant_of(split, exchange.model, exchange.incoming.tenant, user)
    exchange.targets = [target for target in exchange.targets if target.model == name]
