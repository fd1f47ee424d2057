"""What wraps data keys, as the supervisor tells control in `contract.SEALING`. No secret is in it."""

import msgspec

from headgate.vault.server import TransitSettings


class KmsSettings(msgspec.Struct, frozen=True):
    """A key of AWS KMS: its id, alias or ARN. `endpoint` stands in the place of the region's own."""

    key: str
    region: str
    endpoint: str | None = None


class Sealing(msgspec.Struct, frozen=True, omit_defaults=True):
    """With neither it is the local key; with both KMS wraps, and Vault opens what its keys have wrapped before."""

    kms: KmsSettings | None = None
    transit: TransitSettings | None = None
