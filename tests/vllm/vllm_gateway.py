"""The gateway in front of real vLLM replicas: its configuration, the questions that the tiny model knows."""

import hashlib
from typing import Any, Final

from tests.vllm.vllm_replica import MAX_RUNNING, MODEL

KEY: Final = "hg-" + "v" * 43


def gateway_config(endpoints: list[str], pooling: str) -> dict[str, Any]:
    """Models `chat`, on the replicas at `endpoints`, and `embed`, on the pooling one."""
    known = {"kind": "vllm", "served_name": MODEL, "max_running": MAX_RUNNING}
    return {
        "engines": {
            "llama": {**known, "endpoints": endpoints, "max_loras": 2, "max_lora_rank": 8},
            "pooling": {**known, "endpoints": [pooling]},
        },
        "models": {
            "chat": {"targets": [{"provider": "llama", "model": MODEL}]},
            "embed": {"targets": [{"provider": "pooling", "model": MODEL}]},
        },
        "tenants": {
            "acme": {
                "models": ["chat", "embed"],
                "keys": [{"name": "ci", "sha256": hashlib.sha256(KEY.encode()).hexdigest()}],
            }
        },
    }


def asked(question: str, **fields: Any) -> dict[str, Any]:
    """A chat whose answer is the most probable one."""
    messages = [{"role": "user", "content": question}]
    return {"model": "chat", "messages": messages, "temperature": 0, "max_tokens": 60, **fields}
