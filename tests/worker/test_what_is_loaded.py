"""What processes of parts load when they start: not what only reads gateway.yaml, or makes Envoy's files."""

import subprocess
import sys

HEAVY = ("pydantic", "yaml", "cryptography", "jwt", "betterproto2", "envoy_data_plane", "opentelemetry")


def test_parts_load_nothing_that_only_the_supervisor_needs() -> None:
    parts = "authz.service, extproc.service, ratelimit.service, ledger.service"
    program = f"import sys, headgate.cli, headgate.commands.serve, {parts}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert set(HEAVY) & set(done.stdout.split()) == set()
