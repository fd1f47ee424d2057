"""Flags and variables of engines that gateway.yaml has keys for, or that are Headgate's business: `args` and `env`
can't say them. Both who checks a file and who starts an engine go by it. Data only.
"""

_LISTENING = "the gateway's business: it listens on loopback, at a port of its own"

# The flag, and what says it: a key of the entry, or why nothing does.
_OF_ALL = {
    "model": "model",
    "host": _LISTENING,
    "port": _LISTENING,
    "api-key": "the gateway's business: it makes one",
    "max-loras": "max_loras",
    "max-lora-rank": "max_lora_rank",
}
OWN_FLAGS = {
    "vllm": _OF_ALL
    | {
        "uds": _LISTENING,
        "ssl-keyfile": _LISTENING,
        "ssl-certfile": _LISTENING,
        "root-path": _LISTENING,
        "served-model-name": "served_name",
        "max-num-seqs": "max_running",
        "enable-lora": "max_loras",
        "middleware": "the gateway's business: its own asks for the key",
        "lora-modules": "the gateway's business: adapters come from its registry",
        "api-server-count": "the gateway's business: an adapter is loaded by one server",
        "config": "not read: give each flag in args",
    },
    "simulator": _OF_ALL | {"max-running": "max_running"},
}
KEYS = ("model", "served_name", "max_running", "max_loras", "max_lora_rank")

OWN_VARIABLES = frozenset(
    {
        "CUDA_VISIBLE_DEVICES",
        "HF_HUB_OFFLINE",
        "PYTHONPATH",
        "TRANSFORMERS_OFFLINE",
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING",
        "VLLM_API_KEY",
        "VLLM_NO_USAGE_STATS",
    }
)
