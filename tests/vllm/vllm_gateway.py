"""The configuration of a gateway in front of real vLLM replicas."""

import hashlib
from typing import Any, Final

KEY: Final = "hg-" + "v" * 43
KEY_HASH: Final = hashlib.sha256(KEY.encode()).hexdigest()


def gateway_config(endpoints: list[str], pooling: str) -> dict[str, Any]:
    """Models `chat`, on the replicas at `endpoints`, and `embed`, on the pooling one."""
    known = {"api": "openai", "usage": "continuous", "health_check": "/health"}
    return {
        "version": 1,
        "tenants": {"acme": {"keys": [{"id": "laptop", "sha256": KEY_HASH}]}},
        "providers": {
            "replicas": {**known, "endpoints": endpoints},
            "pooling": {**known, "endpoints": [pooling]},
        },
        "models": {
            "chat": {"targets": [{"provider": "replicas", "model": "tiny"}]},
            "embed": {"targets": [{"provider": "pooling", "model": "tiny"}]},
        },
    }
