"""Certificates that gateway.yaml names: each is read, paired with its key and looked at for its dates."""

import datetime as dt
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from headgate.config.certificates import read_pair
from headgate.config.check import Checked
from tests.certificates import DAY, Authority, key_pem

Checking = Callable[[str], Checked]

AUTHORITY = Authority()
SMALL_KEY = rsa.generate_private_key(65537, 1024)  # noqa: S505 - it is refused for that
REST = "\nmodels: {m: {targets: [{provider: p, model: x}]}}\n"
SERVED = (
    "listen:\n  https:\n    address: 127.0.0.1:8443\n    cert: cert.pem\n    key: key.pem\n    client_ca: ca.pem\n"
    "providers: {p: {api: openai, base_url: http://p.test}}" + REST
)
SHOWN = (
    "providers:\n  p:\n    api: openai\n    base_url: https://p.test\n    ca: ca.pem\n"
    "    client_cert: cert.pem\n    client_key: key.pem" + REST
)


@pytest.fixture(params=[SERVED, SHOWN], ids=["served", "shown"])
def text(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A file that names a certificate for clients, or one for a provider; both work as they are."""
    issued = AUTHORITY.issue("p.test")
    Path(tmp_path, "cert.pem").write_bytes(issued.cert)
    Path(tmp_path, "key.pem").write_bytes(issued.key)
    Path(tmp_path, "ca.pem").write_bytes(AUTHORITY.pem)
    return str(request.param)


def only_problem(checked: Checked) -> str:
    assert checked.gateway is None
    (problem,) = checked.problems
    return str(problem)


def line(text: str, key: str) -> str:
    """`file:line: path: ` of a key, whichever name the section gives it."""
    names = {key, f"client_{key}"}
    number = next(n for n, row in enumerate(text.splitlines(), 1) if row.strip().partition(":")[0] in names)
    section = "listen.https" if text is SERVED or text.startswith("listen") else "providers.p"
    name = key if section == "listen.https" or key == "ca" else f"client_{key}"
    return f"gateway.yaml:{number}: {section}.{name}: "


def test_what_can_be_used_is_no_problem(text: str, check_text: Checking) -> None:
    checked = check_text(text)
    assert (checked.problems, checked.warnings) == ([], [])
    assert checked.gateway


@pytest.mark.parametrize("missing", ["cert.pem", "key.pem"])
def test_a_file_that_is_not_there(text: str, check_text: Checking, tmp_path: Path, missing: str) -> None:
    (tmp_path / missing).unlink()
    expected = (
        line(text, missing.removesuffix(".pem")) + f'file "{missing}" cannot be read: No such file or directory'
    )
    assert only_problem(check_text(text)) == expected


def test_a_key_of_another_certificate(text: str, check_text: Checking, tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_bytes(AUTHORITY.issue("p.test").key)
    expected = line(text, "key") + 'file "key.pem" is not the key of the first certificate in "cert.pem"'
    assert only_problem(check_text(text)) == expected


def test_an_expired_certificate(text: str, check_text: Checking, tmp_path: Path) -> None:
    issued = AUTHORITY.issue("p.test", began=3 * DAY, ends=-DAY)
    (tmp_path / "cert.pem").write_bytes(issued.cert)
    (tmp_path / "key.pem").write_bytes(issued.key)
    expected = line(text, "cert") + r'the certificate in "cert.pem" expired at \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ'
    assert re.fullmatch(expected.replace("[", r"\["), only_problem(check_text(text)))


def test_a_certificate_of_tomorrow(text: str, check_text: Checking, tmp_path: Path) -> None:
    issued = AUTHORITY.issue("p.test", began=-DAY)
    (tmp_path / "cert.pem").write_bytes(issued.cert)
    (tmp_path / "key.pem").write_bytes(issued.key)
    assert 'the certificate in "cert.pem" is not valid before ' in only_problem(check_text(text))


@pytest.mark.parametrize(
    ("file", "key", "content", "problem"),
    [
        ("cert.pem", "cert", b"hello", 'file "cert.pem" holds no certificate in PEM form'),
        ("cert.pem", "cert", b"", 'file "cert.pem" holds no certificate in PEM form'),
        ("cert.pem", "cert", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "PEM form"),
        ("key.pem", "key", b"hello", 'file "key.pem" holds no private key in PEM form'),
        ("key.pem", "key", key_pem(ec.generate_private_key(ec.SECP256R1()), b"x"), "is encrypted"),
        ("key.pem", "key", key_pem(ed25519.Ed25519PrivateKey.generate()), "of a kind that Envoy does not take"),
        ("key.pem", "key", key_pem(SMALL_KEY), "of a kind that Envoy does not take"),
        ("key.pem", "key", b"x" * (2**20 + 1), "larger than 1048576 bytes"),
    ],
    ids=range(8),
)
def test_what_is_no_certificate_or_key(
    text: str, check_text: Checking, tmp_path: Path, file: str, key: str, content: bytes, problem: str
) -> None:
    (tmp_path / file).write_bytes(content)
    found = only_problem(check_text(text))
    assert found.startswith(line(text, key))
    assert problem in found


@pytest.mark.parametrize("content", [b"", b"hello", None])
def test_a_ca_that_is_none(text: str, check_text: Checking, tmp_path: Path, content: bytes | None) -> None:
    if content is None:
        (tmp_path / "ca.pem").unlink()
    else:
        (tmp_path / "ca.pem").write_bytes(content)
    found = only_problem(check_text(text))
    assert "ca: file" in found
    assert ("cannot be read" if content is None else "no certificate in PEM form") in found


@pytest.mark.parametrize(("left", "warned"), [(13 * DAY, True), (15 * DAY, False)])
def test_a_certificate_that_expires_soon_is_a_warning(
    text: str, check_text: Checking, tmp_path: Path, left: dt.timedelta, warned: bool
) -> None:
    issued = AUTHORITY.issue("p.test", ends=left + dt.timedelta(hours=1))
    (tmp_path / "cert.pem").write_bytes(issued.cert)
    (tmp_path / "key.pem").write_bytes(issued.key)
    checked = check_text(text)
    assert checked.gateway
    shown = [str(warning) for warning in checked.warnings]
    assert len(shown) == warned
    for warning in shown:
        assert warning.startswith(line(text, "cert") + 'the certificate in "cert.pem" expires at ')
        assert warning.endswith("Z, in 13 days")


def test_a_key_in_the_certificates_file_does_not_pass_for_a_certificate(tmp_path: Path) -> None:
    issued = AUTHORITY.issue("p.test")
    (tmp_path / "both.pem").write_bytes(issued.key + issued.cert + AUTHORITY.pem)
    pair = read_pair(tmp_path, Path("both.pem"), Path("both.pem"))
    assert pair.chain.encode() == issued.cert + AUTHORITY.pem
    assert pair.key.encode() == issued.key
    assert "PRIVATE" not in repr(pair)
