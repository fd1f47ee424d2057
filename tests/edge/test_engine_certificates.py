"""An engine over TLS is asked as requests reach it: its certificate against its name, ours shown where it asks."""

import ssl
from pathlib import Path

from headgate.config.check import check
from headgate.contract import SECRETS
from headgate.edge.secrets import usable_secret_files
from headgate.engine_tables import engine_rows
from headgate.feed.replicas import ReplicaState
from tests.certificates import Authority
from tests.counters.valkey_server import ValkeyServer
from tests.engines.engines_part import EnginesPart, engines_part, until
from tests.engines.scripted_engine import scripted_engine

FILE = """
engines:
  llama:
    kind: vllm
    endpoints: ["https://{name}:{port}"]
    ca: ca.pem
    client_cert: gateway.pem
    client_key: gateway-key.pem
models: {{chat: {{targets: [{{provider: llama, model: llama}}]}}}}
"""


def take(part: EnginesPart, folder: Path, name: str, port: int) -> str:
    """What a reload to this address leaves for the part; the engine's cluster."""
    (folder / "gateway.yaml").write_text(FILE.format(name=name, port=port))
    checked = check(folder / "gateway.yaml", {})
    assert checked.gateway, checked.problems
    files, problems = usable_secret_files(checked.gateway, folder, {})
    assert not problems
    for file, content in files.items():
        (part.state / SECRETS / file).write_bytes(content)
    rows = engine_rows(checked.gateway)
    part.write(rows)
    return rows["llama"].cluster


async def test_certificates_are_verified_and_shown(tmp_path: Path, server: ValkeyServer) -> None:
    ours, theirs = Authority(), Authority("another CA")
    (tmp_path / "ca.pem").write_bytes(ours.pem)
    ours.issue("gateway").write(tmp_path, "gateway")
    state = tmp_path / "state"
    (state / SECRETS).mkdir(parents=True)

    def context(authority: Authority, name: str) -> ssl.SSLContext:
        made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=ours.pem.decode())
        made.verify_mode = ssl.CERT_REQUIRED
        made.load_cert_chain(*authority.issue("localhost").write(tmp_path, name))
        return made

    async with (
        scripted_engine(tls=context(ours, "good")) as good,
        scripted_engine(tls=context(theirs, "strange")) as strange,
        engines_part(state, f"unix://{server.socket}", {}) as part,
    ):
        for engine, name, expected in (
            (good, "localhost", ReplicaState.READY),
            (strange, "localhost", ReplicaState.AWAY),
            (good, "127.0.0.1", ReplicaState.AWAY),  # its certificate is for the name alone
        ):
            cluster = take(part, tmp_path, name, engine.port)
            await until(lambda: part.in_cluster(cluster) == [expected])  # noqa: B023 - asked now
            said = await part.until_replica(engine.address, lambda one: one.detail != "not looked at yet")
            assert said.state == expected
            if expected is ReplicaState.AWAY:
                assert said.detail == "shows a certificate that is not good for its name"
