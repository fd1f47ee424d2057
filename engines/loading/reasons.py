"""Why an adapter can't be served: the words of `headgate_adapter_failures_total`. Pure."""

import enum


class Reason(enum.StrEnum):
    """The last ones pass: they are tried again, and no promotion fails because of them."""

    MISSING = "missing"  # the store has no such version
    UNTRUSTED = "untrusted"  # its signature or a digest does not fit, or it is signed by a key that is not trusted
    REFUSED = "refused"  # the engine does not load it
    SILENT = "silent"  # the engine has not loaded it, or not answered by it, in time
    SMOKE = "smoke"  # the engine has loaded it, and does not answer by it
    NO_PLACE = "no_place"  # max_loras is reached by others
    STORE = "store"  # its files can't be fetched or kept just now
    AWAY = "away"  # the replica does not answer


PASSING = frozenset({Reason.STORE, Reason.AWAY})
