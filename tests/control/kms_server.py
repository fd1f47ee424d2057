"""A KMS on loopback: DescribeKey, Encrypt and Decrypt, by the protocol, for requests that are signed rightly.

Ciphertexts are AES-GCM under the key's newest material, bound to the encryption context; all material is kept.
"""

import base64
import json
import re
import secrets
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

REGION = "eu-central-1"
ACCESS_KEY, SECRET_KEY = "AKIDHUNTER2", "hunter2-secret-access-key"
_SIGNED = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/\d{8}/([^/]+)/kms/aws4_request, SignedHeaders=([^,]+), Signature=(\S+)"
)


class Refused(Exception):  # noqa: N818 - what it is
    """By the code that KMS answers with."""


class Kms:
    """Keys by ARN, the newest material last. What a test changes is in force with the next request."""

    def __init__(self) -> None:
        self.keys: dict[str, list[bytes]] = {}
        self.aliases: dict[str, str] = {}
        self.states: dict[str, str] = {}
        self.denied: set[tuple[str, str]] = set()
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self._server: ThreadingHTTPServer | None = None
        self._port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def add(self, alias: str) -> str:
        arn = f"arn:aws:kms:{REGION}:123456789012:key/{secrets.token_hex(8)}"
        self.keys[arn], self.aliases[f"alias/{alias}"] = [AESGCM.generate_key(256)], arn
        return arn

    def rotate(self, arn: str) -> None:
        self.keys[arn].append(AESGCM.generate_key(256))

    def start(self) -> None:
        """At the same port as before."""
        kms = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                status, answer = kms._answer(self, body)
                content = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("content-type", "application/x-amz-json-1.1")
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._server.daemon_threads = True
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def kill(self) -> None:
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _answer(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, dict[str, Any]]:
        action = request.headers["x-amz-target"].removeprefix("TrentService.")
        try:
            self._check_signature(request, body)
            asked = json.loads(body)
            self.asked.append((action, asked))
            return 200, self._done(action, asked)
        except Refused as refused:
            return 400, {"__type": str(refused), "message": "User: arn:aws:iam::123456789012:user/hunter2"}

    def _check_signature(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        match = _SIGNED.fullmatch(request.headers.get("authorization", ""))
        if match is None or match[1] != ACCESS_KEY or match[2] != REGION:
            raise Refused("UnrecognizedClientException")
        names = [name for name in match[3].split(";") if name != "host"]
        headers = {name: request.headers[name] for name in names}
        made = AWSRequest("POST", f"http://{request.headers['host']}{request.path}", headers, body)
        made.context["timestamp"] = request.headers["x-amz-date"]
        signer = SigV4Auth(Credentials(ACCESS_KEY, SECRET_KEY), "kms", REGION)
        if signer.signature(signer.string_to_sign(made, signer.canonical_request(made)), made) != match[4]:
            raise Refused("InvalidSignatureException")

    def _done(self, action: str, asked: dict[str, Any]) -> dict[str, Any]:
        arn = self.aliases.get(asked["KeyId"], asked["KeyId"])
        if arn not in self.keys:
            raise Refused("NotFoundException")
        if (action, arn) in self.denied:
            raise Refused("AccessDeniedException")
        state = self.states.get(arn, "Enabled")
        if action == "DescribeKey":
            return {"KeyMetadata": {"KeyId": arn.rpartition("/")[2], "Arn": arn, "KeyState": state}}
        if state != "Enabled":
            raise Refused("DisabledException")
        bound = json.dumps(asked.get("EncryptionContext", {}), sort_keys=True).encode()
        if action == "Encrypt":
            nonce, version = secrets.token_bytes(12), len(self.keys[arn]) - 1
            sealed = AESGCM(self.keys[arn][version]).encrypt(nonce, base64.b64decode(asked["Plaintext"]), bound)
            head = f"{arn} {version} ".encode()
            return {"KeyId": arn, "CiphertextBlob": base64.b64encode(head + nonce + sealed).decode()}
        assert action == "Decrypt", action
        try:
            found, version_text, rest = base64.b64decode(asked["CiphertextBlob"]).split(b" ", 2)
            if found.decode() != arn:
                raise Refused("IncorrectKeyException")
            opened = AESGCM(self.keys[arn][int(version_text)]).decrypt(rest[:12], rest[12:], bound)
        except (InvalidTag, ValueError):
            raise Refused("InvalidCiphertextException") from None
        return {"KeyId": arn, "Plaintext": base64.b64encode(opened).decode()}
