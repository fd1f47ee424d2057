"""What gateway.yaml says of adapters, for the parts that keep and load them. Nothing in it is secret.

headgate/compile_declared.py makes it; headgate/adapters/opening.py makes of it what is worked with.
"""

import msgspec

from headgate.contract import ADAPTER_KEY


class AdapterRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """`objects`: the URL of the store, None for the directory in the state directory.

    `signing_key`: the file below the state directory that holds it. `trusted_keys`: public ones in base64, beside
    that key's own. `base_names`: what else adapter_config.json may call a base model, by the name that engines serve.
    `model_folders`: where this host's engines have it, by that name.
    `min_free_bytes` is what uploads leave of a disk. `folders` are those of engines elsewhere (`adapters_dir`).
    """

    objects: str | None = None
    signing_key: str = str(ADAPTER_KEY)
    trusted_keys: tuple[str, ...] = ()
    max_size_bytes: int = 2 * 2**30
    max_per_tenant_bytes: int = 20 * 2**30
    max_total_bytes: int = 200 * 2**30
    min_free_bytes: int = 0
    upload_timeout_s: float = 3600.0
    folders: tuple[str, ...] = ()
    base_names: dict[str, tuple[str, ...]] = {}
    model_folders: dict[str, tuple[str, ...]] = {}
