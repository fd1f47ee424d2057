"""`headgate serve filters` on a network is refused without mutual TLS, in words that say what is missing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.certificates import DAY, Authority

TLS = ("--cert", "worker.pem", "--key", "worker-key.pem", "--client-ca", "ca.pem", "--client", "dns:gateway.test")
EXPECTED = "a name of a certificate, spiffe://TRUST-DOMAIN/PATH, uri:URI or dns:NAME (without *)"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    authority = Authority()
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    authority.issue("worker.test").write(tmp_path, "worker")
    authority.issue("worker.test", began=2 * DAY, ends=-DAY).write(tmp_path, "expired")
    return tmp_path


def refused(folder: Path, *options: str, part: str = "filters") -> str:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("HEADGATE_")}
    done = subprocess.run(
        [sys.executable, "-m", "headgate", "serve", part, "--state", "state", *options],
        cwd=folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    return done.stderr.strip()


@pytest.mark.parametrize("address", ["0.0.0.0:9443", "192.0.2.1:9443", "[::]:9443", "worker.test:9443"])
def test_a_network_takes_mutual_tls(address: str, folder: Path) -> None:
    needs = "it takes mutual TLS: --cert, --key, --client-ca and --client"
    assert refused(folder, "--address", address) == f"--address {address}: that is on a network; {needs}"


def test_one_filter_alone_serves_no_network(folder: Path) -> None:
    found = refused(folder, "--address", "0.0.0.0:9443", part="authz")
    assert found == "--address 0.0.0.0:9443: that is on a network; `filters` alone may"


@pytest.mark.parametrize("left_out", [0, 2, 4, 6])
def test_all_of_it_is_needed(left_out: int, folder: Path) -> None:
    given = (*TLS[:left_out], *TLS[left_out + 2 :])
    found = refused(folder, "--address", "127.0.0.1:9443", *given)
    assert found == f"{TLS[left_out]}: missing; a network takes all of --cert, --key, --client-ca, --client"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (TLS, "--cert: is for --address HOST:PORT; a Unix socket needs none"),
        (("--address", "9443"), '--address: expected host:port, such as 127.0.0.1:8080 or [::1]:8080, found "9443"'),
        (
            ("--address", "127.0.0.1:1", *TLS, "--config", "gateway.yaml"),
            "--config: on a network a worker's tables come from the gateway that it works for",
        ),
        (
            ("--address", "127.0.0.1:1", *TLS, "--client", "*.example"),
            f'--client: expected {EXPECTED}, found "*.example"',
        ),
    ],
)
def test_what_makes_no_sense(options: tuple[str, ...], text: str, folder: Path) -> None:
    assert refused(folder, *options) == text


def test_certificates_that_cannot_be_used(folder: Path) -> None:
    rest = ("--address", "127.0.0.1:1", *TLS[2:])
    assert "expired" in refused(folder, "--cert", "expired.pem", *rest)
    assert "No such file or directory" in refused(folder, "--cert", "none.pem", *rest)
    assert "is not the key of" in refused(folder, *TLS[:2], "--key", "expired-key.pem", *rest[:2], *TLS[4:])
