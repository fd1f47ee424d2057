"""Why an adapter can't be served: the words of `headgate_adapter_failures_total`. Pure."""

import enum


class Reason(enum.StrEnum):
    """What is wrong for good fails a promotion; what is in PASSING is tried again."""

    MISSING = "missing"  # the store has no such version
    UNTRUSTED = "untrusted"  # its signature or a digest does not fit, or it is signed by a key that is not trusted
    REFUSED = "refused"  # the engine does not load it
    SMOKE = "smoke"  # the engine has loaded it, and does not answer by it
    NO_PLACE = "no_place"  # max_loras is reached by what does not give way
    SILENT = "silent"  # the engine has not loaded it, or not answered by it, in time
    TROUBLE = "trouble"  # the engine answers 429 or 5xx, which may be about something else
    STORE = "store"  # its files can't be fetched or kept just now
    KEY = "key"  # the key that signatures are checked with can't be read
    AWAY = "away"  # the replica does not answer


PASSING = frozenset({Reason.SILENT, Reason.TROUBLE, Reason.STORE, Reason.KEY, Reason.AWAY})
