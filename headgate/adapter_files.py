"""Which file holds the key that signs adapters, for who writes it and for who reads it.

One of gateway.yaml is in `secrets`, a file for each reference: as long as parts name the old one, it stays beside the
new one. Without a reference it is a file that this host has made once, in `identity`.
"""

import hashlib
from pathlib import Path

from headgate.adapter_row import AdapterRow
from headgate.config.adapters import Adapters
from headgate.config.engines import served_name
from headgate.config.model import Gateway
from headgate.config.secret_refs import SecretRef
from headgate.contract import ADAPTER_KEY, SECRETS


def adapter_key_file(reference: SecretRef) -> Path:
    """Below the state directory. A provider has no + in its name, so none of its files is called like this."""
    text = f"{reference.kind}:{reference.place}"
    return SECRETS / f"adapters+{hashlib.sha256(text.encode()).hexdigest()[:10]}"


def adapter_row(gateway: Gateway, base: Path) -> AdapterRow:
    """What the parts are told; `base` is the folder of gateway.yaml."""
    adapters = gateway.adapters or Adapters()
    return AdapterRow(
        objects=gateway.services.objects,
        signing_key=str(adapter_key_file(adapters.signing_key) if adapters.signing_key else ADAPTER_KEY),
        trusted_keys=tuple(adapters.trusted_keys),
        max_size_bytes=adapters.max_size_bytes,
        max_per_tenant_bytes=adapters.max_per_tenant_bytes,
        max_total_bytes=adapters.max_total_bytes,
        min_free_bytes=adapters.min_free_bytes + gateway.spool.min_free_bytes,
        upload_timeout_s=adapters.upload_timeout_s,
        folders=tuple(sorted({str(one.adapters_dir) for one in gateway.engines.values() if one.adapters_dir})),
        base_names=_base_names(gateway, adapters),
        model_folders=_model_folders(gateway, base),
    )


def _base_names(gateway: Gateway, adapters: Adapters) -> dict[str, tuple[str, ...]]:
    """Those that gateway.yaml gives, and the directories of managed engines: who trains on this host says these."""
    found = {model: list(names) for model, names in adapters.base_names.items()}
    for name, engine in gateway.engines.items():
        if engine.model:
            found.setdefault(served_name(name, engine), []).append(engine.model.name)
    return {model: tuple(dict.fromkeys(names)) for model, names in found.items()}


def _model_folders(gateway: Gateway, base: Path) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for name, engine in gateway.engines.items():
        if engine.model and engine.max_loras:
            found.setdefault(served_name(name, engine), []).append(str(base / engine.model))
    return {model: tuple(dict.fromkeys(folders)) for model, folders in found.items()}
