"""gateway.yaml of a gateway that starts its own vLLM on the CPU."""

import hashlib
from pathlib import Path
from typing import Any

from tests.supervise.gateway_process import GatewayProcess
from tests.vllm.vllm_replica import MAX_RUNNING, MODEL, PYTHON

KEY = f"hg-{'m' * 43}"


def managed_vllm(gateway: GatewayProcess, model: Path, **more: Any) -> dict[str, Any]:
    """The engine `llama`, with `more` of its keys, behind the model `chat` of the tenant `acme`."""
    engine = {
        "kind": "vllm",
        "model": str(model),
        "served_name": MODEL,
        "python": str(PYTHON),
        "gpus": 0,
        "max_running": MAX_RUNNING,
        "max_lora_rank": 8,
        "args": {
            "dtype": "float32",  # bfloat16 crashes in the AMX kernel of this release
            "max-model-len": 4096,
            "kv-cache-memory-bytes": 67108864,
            "enforce-eager": True,
            "structured-outputs-config": {"backend": "xgrammar", "disable_any_whitespace": True},
        },
        "env": {"VLLM_CPU_KVCACHE_SPACE": 1, "VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": 1},
        **more,
    }
    return {
        "listen": {"http": gateway.http, "admin": gateway.admin},
        "engines": {"llama": engine},
        "models": {
            "chat": {
                "targets": [{"provider": "llama", "model": MODEL}],
                "queue": {"length": 100, "max_wait": "120s"},
            }
        },
        "tenants": {
            "acme": {
                "models": ["chat"],
                "keys": [{"name": "ci", "sha256": hashlib.sha256(KEY.encode()).hexdigest()}],
            }
        },
    }
