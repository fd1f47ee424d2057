"""LiteLLM's proxy as its documentation runs it in production: a worker per core, logs of errors, routing by shuffle.

Without its database, whose client fetches a program when it runs. So it knows one key, has no limits to hold, and
writes no spending down, which all would cost it more.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench import answers
from bench.child import Child
from bench.peers.installed import check, descendants, litellm_command, started
from bench.plain import cores
from bench.ready import until_answered
from bench.subject import USAGE, Subject, bearer
from headgate.supervise.ports import free_port

_KEY = "sk-bench-master-key"
_ENVIRONMENT = {
    "LITELLM_LOG": "ERROR",
    "LITELLM_MODE": "PRODUCTION",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # prices of its own package: nothing is fetched
}


@contextmanager
def running_litellm(folder: Path, upstream: int, client: Child) -> Iterator[Subject]:
    """Ready: all of its workers are there."""
    port, config = free_port(), folder / "litellm.yaml"
    config.write_text(json.dumps(_config(upstream)))
    command = [str(litellm_command()), "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
    command += ["--num_workers", str(cores()), "--telemetry", "False"]
    with started(command, _ENVIRONMENT, folder, folder / "litellm.log") as process:
        subject = _subject(port)
        until_answered(client, subject, lambda: check(process, "litellm", folder))
        yield replace(subject, pids={"litellm": descendants(process.pid)})


def _subject(port: int) -> Subject:
    return Subject(
        name="litellm",
        port=port,
        headers=bearer(_KEY),
        model="chat",
        asks=USAGE,
        hides_usage=True,  # but for an event of its own, beside the reason to end and the end
        frame_events=3,
        frame_usages=1,
        pids={},
        models={name: name for name in ("chat", "embedding", "fallback", "anthropic")},
        refused={"bad-key": (bearer("sk-bench-unknown-key"), (400,))},  # it misses its database
    )


def _config(upstream: int) -> dict[str, Any]:
    root = f"http://127.0.0.1:{upstream}"
    models = {
        "chat": f"openai/{answers.MODEL}",
        "embedding": f"openai/{answers.EMBEDDING_MODEL}",
        "fallback": f"openai/{answers.FAILING_MODEL}",
        "anthropic": f"anthropic/{answers.MODEL}",
    }
    return {
        "model_list": [
            {
                "model_name": name,
                "litellm_params": {
                    "model": model,
                    "api_base": root if name == "anthropic" else f"{root}/v1",
                    "api_key": "none",
                },
            }
            for name, model in models.items()
        ],
        "general_settings": {"master_key": _KEY},
        "litellm_settings": {"request_timeout": 600, "set_verbose": False, "json_logs": True},
        # Each request is to fall back, not those alone that come before the target is rested.
        "router_settings": {"num_retries": 0, "disable_cooldowns": True, "fallbacks": [{"fallback": ["chat"]}]},
    }
