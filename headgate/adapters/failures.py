"""What can go wrong with adapters, beside what the store of objects raises (headgate/objects/failures.py).

    AdapterError
    ├── Unacceptable       the files are not what an adapter has to be: `problems` has all that was found
    ├── NoSuchVersion      the store has no such version, or none that was published to its end
    ├── AlreadyPublished   the version is there: versions are never written again
    ├── KeyAway            the key that signs cannot be read, or is none
    └── Untrusted          a signature, a digest or a name does not fit: it was changed, or signed by somebody else

Texts are for operators and for the tenant whose adapter it is.
"""

from collections.abc import Sequence


class AdapterError(Exception):
    """Any of these."""


class Unacceptable(AdapterError):  # noqa: N818 - what was given
    """Says everything at once."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class NoSuchVersion(AdapterError):  # noqa: N818 - a state of the store
    """Nothing to load."""


class AlreadyPublished(AdapterError):  # noqa: N818 - a state of the store
    """Take the next number."""


class KeyAway(AdapterError):  # noqa: N818 - a state of this host
    """Nothing is signed, and nothing trusted."""


class Untrusted(AdapterError):  # noqa: N818 - what was found
    """Not to be loaded."""
