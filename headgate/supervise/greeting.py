"""What `headgate up` prints once everything is ready: one `name   value` per line, for people and scripts."""

import json
import shlex
from pathlib import Path

from headgate.config.model import Gateway
from headgate.supervise.ports import admin_listen, edge_listens


def greeting(gateway: Gateway, config: Path, demo_key: str | None, logs: Path) -> str:
    """The lines, with a curl command that works as it stands in the quickstart."""
    edge = edge_listens(gateway)[0]
    base_url = edge.url(edge.name.removeprefix("listen.")) + "/v1"
    admin_url = admin_listen(gateway).url("http")
    lines = {
        "base URL": base_url,
        "key": demo_key or f"use a key of {config.name} (headgate keys new makes one)",
        "try": _curl(base_url, next(iter(gateway.models)), demo_key),
        "ready": f"{admin_url}/readyz",
        "config": str(config),
        "logs": str(logs),
    }
    return "".join(f"{name:<11}{value}\n" for name, value in lines.items())


def _curl(base_url: str, model: str, demo_key: str | None) -> str:
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "Hello"}]})
    # Double quotes: without a key of ours, the shell puts the operator's in.
    authorization = f'"authorization: Bearer {demo_key or "$HEADGATE_KEY"}"'
    return (
        f"curl {shlex.quote(base_url + '/chat/completions')} -H {authorization} "
        f"-H 'content-type: application/json' -d {shlex.quote(body)}"
    )
