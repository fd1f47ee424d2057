"""Problems of the key of AWS KMS, and of it beside Vault. Works on any tree, as vault_rules.py. No IO."""

from collections.abc import Iterator
from typing import Any

from headgate.config.kms import kms_key, region_of
from headgate.config.shape import Finding, value_at
from headgate.config.vault_rules import SECRETS, without_tls
from headgate.config.wording import KeyPath, quoted

_KMS: KeyPath = (*SECRETS, "kms")


def unusable_kms(root: dict[str, Any]) -> Iterator[Finding]:
    """A key without a region, or with another one; two keys that data keys are to be wrapped by."""
    if value_at(root, _KMS) is None:
        return
    if value_at(root, (*SECRETS, "transit")) is not None:
        yield Finding((*SECRETS, "transit"), 'stands in the place of "kms": give one of them')
    given = value_at(root, (*_KMS, "region"))
    try:
        own = region_of(kms_key(value_at(root, (*_KMS, "key"))))
    except ValueError:
        return  # not given, or a problem of shape
    if given is None and own is None:
        yield Finding((*_KMS, "region"), "missing: only the ARN of a key says where it is", at=_KMS)
    elif isinstance(given, str) and own and given != own:
        yield Finding((*_KMS, "region"), f"the key's ARN says {quoted(own)}, found {quoted(given)}")


def kms_in_the_clear(root: dict[str, Any]) -> Iterator[Finding]:
    """A KMS that is asked without TLS, over a network."""
    yield from without_tls(root, (*_KMS, "endpoint"), "data keys cross")
