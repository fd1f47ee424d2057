"""What a provider may be used for at most, as gateway.yaml writes it. Money is nano-USD."""

from headgate.config.entry import Count, Entry
from headgate.config.limits import Money


class Budget(Entry):
    """Requests and tokens per minute, US dollars per month of UTC; None is no end. The keys are kinds of limits."""

    rpm: Count | None = None
    tpm: Count | None = None
    monthly_usd: Money | None = None
