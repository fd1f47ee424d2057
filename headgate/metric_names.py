"""Values of labels, as many as there may be: names of gateway.yaml and the database, and `other` for what is more."""

from headgate.metrics import OTHER

# Reloads may bring ever new names: a cap keeps the series, and every scrape, bounded.
TENANTS_CAP = 1_000
MODELS_CAP = 500
PROVIDERS_CAP = 200
KEYS_CAP = 500
VARIANTS_CAP = 50
ADAPTERS_CAP = 1_000
OWN_ADAPTERS_CAP = 50  # of one tenant


class Names:
    """The first `cap` distinct values; any further one is `other`, a missing one ""."""

    def __init__(self, cap: int) -> None:
        self._cap = cap
        self._known: set[str] = set()

    def label(self, value: str | None) -> str:
        """The value as a label."""
        if not value or value in self._known:
            return value or ""
        if len(self._known) >= self._cap:
            return OTHER
        self._known.add(value)
        return value
