"""An issuer of tokens for tests, on loopback: signs, rotates its keys, and misbehaves in the ways that servers do."""

import contextlib
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
Mood = Literal["well", "down", "hangs", "junk", "redirects", "huge", "compressed"]

_ALGORITHMS: dict[str, Any] = {
    "RS256": jwt.algorithms.RSAAlgorithm,
    "ES256": jwt.algorithms.ECAlgorithm,
    "EdDSA": jwt.algorithms.OKPAlgorithm,
}
_RSA = rsa.generate_private_key(65537, 2048)  # takes a while


def new_key(algorithm: str) -> PrivateKey:
    if algorithm == "RS256":
        return _RSA
    return ec.generate_private_key(ec.SECP256R1()) if algorithm == "ES256" else ed25519.Ed25519PrivateKey.generate()


def jwk(key: PrivateKey, algorithm: str, **more: Any) -> dict[str, Any]:
    """The public half as issuers publish it."""
    found: dict[str, Any] = _ALGORITHMS[algorithm].to_jwk(key.public_key(), as_dict=True)
    return {**found, "use": "sig", "alg": algorithm, **more}


class Signer:
    """A key with its id."""

    def __init__(self, algorithm: str = "RS256", kid: str = "one") -> None:
        self.algorithm, self.kid, self.key = algorithm, kid, new_key(algorithm)

    @property
    def jwk(self) -> dict[str, Any]:
        return jwk(self.key, self.algorithm, kid=self.kid)

    def sign(self, claims: dict[str, Any], **header: Any) -> str:
        headers = {"kid": self.kid, **header}
        headers = {name: value for name, value in headers.items() if value}
        return jwt.PyJWS().encode(json.dumps(claims).encode(), self.key, self.algorithm, headers)


def claims(issuer: str, **more: Any) -> dict[str, Any]:
    """Those of a good token for the audience `headgate`; None leaves one out."""
    now = int(time.time())
    good = {"iss": issuer, "aud": "headgate", "sub": "ann", "iat": now, "exp": now + 600, **more}
    return {name: value for name, value in good.items() if value is not None}


class Issuer:
    """What is served, and how often it was asked for."""

    def __init__(self, *signers: Signer) -> None:
        self.signers = list(signers) or [Signer()]
        self.mood: Mood = "well"
        self.cache_control = ""
        self.asked: list[str] = []
        self.url = ""
        self._release = threading.Event()

    def token(self, signer: Signer | None = None, **more: Any) -> str:
        return (signer or self.signers[0]).sign(claims(self.url, **more))

    def answer(self, path: str) -> dict[str, Any] | None:
        if path == "/.well-known/openid-configuration":
            return {"issuer": self.url, "jwks_uri": f"{self.url.rstrip('/')}/keys"}
        return {"keys": [signer.jwk for signer in self.signers]} if path in ("/keys", "/moved") else None

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        self.asked.append(handler.path)
        document = self.answer(handler.path)
        body, status, headers = json.dumps(document).encode(), 200 if document else 404, {}
        if self.cache_control:
            headers["cache-control"] = self.cache_control
        if self.mood == "hangs":
            self._release.wait()
            return
        if self.mood == "down":
            status = 503
        elif self.mood == "junk":
            body = b"<html>Sorry</html>"
        elif self.mood == "redirects" and handler.path != "/moved":
            status, headers["location"] = 302, "/moved"
        elif self.mood == "huge":
            body = b'{"keys": [' + b" " * 2**21 + b"]}"
        elif self.mood == "compressed":
            headers["content-encoding"] = "gzip"
        handler.send_response(status)
        for name, value in {**headers, "content-length": str(len(body))}.items():
            handler.send_header(name, value)
        handler.end_headers()
        with contextlib.suppress(OSError):
            handler.wfile.write(body)

    def let_go(self) -> None:
        self._release.set()


@contextlib.contextmanager
def serving(issuer: Issuer, pair: tuple[Path, Path] | None = None, ending: str = "") -> Iterator[Issuer]:
    """On a free port of loopback; with TLS where there is a certificate and key."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(issuer.serve))
    if pair:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*pair)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    issuer.url = f"http{'s' if pair else ''}://127.0.0.1:{server.server_port}{ending}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield issuer
    finally:
        issuer.let_go()
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(serve: Callable[[BaseHTTPRequestHandler], None]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            serve(self)

        def log_message(self, *args: Any) -> None:
            pass

    return Handler
