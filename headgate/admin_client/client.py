"""Asks the admin API: one method per verb, all pages of a list, lines of an export.

What may be done twice is tried again when the connection breaks or the gateway is busy: GET and PUT, and POST because
each carries an Idempotency-Key, by which the gateway does it once. Of others only a connection that was never made is
tried again, and of what has to match a version. Redirects are not followed: the key goes nowhere else.
"""

import re
import ssl
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx2
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential_jitter

from headgate import __version__
from headgate.admin_client.failures import NoAnswer, NotAsked, Refused
from headgate.admin_client.place import Place
from headgate.admin_client.problems import problem_of, text_of

ROOT = "/admin/v1"
PAGE = 200  # the most that the API gives at once
ATTEMPTS = 4
_TIMEOUT = httpx2.Timeout(40.0, connect=5.0)  # the gateway says itself, after 30 s, that it takes too long
_UPLOAD = httpx2.Timeout(600.0, connect=5.0)  # what has arrived is checked and stored before it is answered
_TWICE = frozenset({"GET", "PUT", "POST"})
_BUSY = frozenset({502, 503})  # not 504: what takes too long once does so again
_UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"
_NEVER_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
_NO_API = "the answer is no admin API's: is the address a gateway's, without a path behind the port?"


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` is empty where there is none (204)."""

    body: dict[str, Any]
    etag: str | None


@dataclass(frozen=True, slots=True)
class Listed:
    """Objects of a list; `next` is the cursor of what follows, if anything does."""

    data: list[dict[str, Any]]
    next: str | None


class _Busy(Exception):  # noqa: N818 - an answer, kept until there is no more attempt
    def __init__(self, response: httpx2.Response) -> None:
        self.response = response


class AdminClient:
    """One gateway, one key. Raises AdminError alone."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._client = httpx2.Client(
            headers={"authorization": f"Bearer {place.key}", "user-agent": f"headgate/{__version__}"},
            timeout=_TIMEOUT,
            verify=_trust(place),
            trust_env=not place.is_local,
        )

    def close(self) -> None:
        """Give up its connections."""
        self._client.close()

    def get(self, path: str, **params: Any) -> Answer:
        """One object."""
        return self._ask("GET", path, params=params)

    def content(self, path: str) -> bytes:
        """What is no JSON, byte by byte."""
        return self._answer("GET", path).content

    def post(self, path: str, body: Mapping[str, Any]) -> Answer:
        """Make something, once."""
        return self._ask("POST", path, body=body, headers={"idempotency-key": uuid4().hex})

    def upload(self, path: str, chunks: Iterable[bytes], size_bytes: int, **params: Any) -> Answer:
        """Send what is no JSON, piece by piece; once, as it can't be read again."""
        headers = {"content-type": "application/octet-stream", "content-length": str(size_bytes)}
        request = self._client.build_request(
            "POST", f"{self._place.url}{ROOT}/{path}", params=params, content=chunks, headers=headers, timeout=_UPLOAD
        )
        with self._said("POST"):
            response = self._client.send(request)
        if not response.is_success:
            raise _refusal(response)
        return Answer(_read(response), response.headers.get("etag"))

    def patch(self, path: str, body: Mapping[str, Any]) -> Answer:
        """Change what `body` names."""
        return self._ask("PATCH", path, body=body)

    def put(self, path: str, body: Mapping[str, Any] | None = None, etag: str | None = None) -> Answer:
        """Set the whole of something; with `etag` only if it is still what was read."""
        return self._ask("PUT", path, body=body, headers={"if-match": etag} if etag else {})

    def delete(self, path: str, etag: str | None = None, **params: Any) -> Answer:
        """Remove it."""
        return self._ask("DELETE", path, params=params, headers={"if-match": etag} if etag else {})

    def listed(self, path: str, most: int | None = None, after: str | None = None, **params: Any) -> Listed:
        """All objects of a list, or the first `most` of them, page by page."""
        data: list[dict[str, Any]] = []
        while True:
            wanted = PAGE if most is None else min(PAGE, most - len(data))
            body = self.get(path, **params, limit=wanted, after=after).body
            if not isinstance(body.get("data"), list):
                raise NoAnswer(_NO_API)
            data += body["data"]
            after = body.get("next")
            if after is None or (most is not None and len(data) >= most):
                return Listed(data, after)

    def lines(self, path: str, **params: Any) -> Iterator[bytes]:
        """The lines of an answer, as they come. Not tried again: the reader has had some of them."""
        request = self._request("GET", path, params, None, {"accept": "application/x-ndjson"})
        with self._said("GET"):
            response = self._client.send(request, stream=True)
            try:
                if response.status_code != 200:
                    response.read()
                    raise _refusal(response)
                rest = b""
                for chunk in response.iter_bytes():
                    *whole, rest = (rest + chunk).split(b"\n")
                    yield from whole
                if rest:
                    raise NoAnswer("the answer ended in the middle of a line: give the command again")
            finally:
                response.close()

    def _ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        response = self._answer(method, path, params, body, headers)
        return Answer(_read(response), response.headers.get("etag"))

    def _answer(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx2.Response:
        request = self._request(method, path, params or {}, body, headers or {})
        attempts = Retrying(
            retry=retry_if_exception(lambda error: _again(request, error)),
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_exponential_jitter(initial=0.2, max=2.0, jitter=0.2),
            reraise=True,
        )
        with self._said(method):
            try:
                response = attempts(self._send, request)
            except _Busy as busy:
                response = busy.response
        if not response.is_success:
            raise _refusal(response)
        return response

    def _send(self, request: httpx2.Request) -> httpx2.Response:
        response = self._client.send(request)
        if response.status_code in _BUSY or problem_of(response.content).get("code") == "too_many_requests":
            raise _Busy(response)
        return response

    def _request(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any],
        body: Mapping[str, Any] | None,
        headers: Mapping[str, str],
    ) -> httpx2.Request:
        asked = {name: value for name, value in params.items() if value is not None}
        address = f"{self._place.url}{ROOT}/{path}"
        return self._client.build_request(method, address, params=asked, json=body, headers=headers)

    @contextmanager
    def _said(self, method: str) -> Iterator[None]:
        """What went wrong on the way, in our own words."""
        try:
            yield
        except _NEVER_SENT as error:
            raise NoAnswer(f"no gateway answers at {self._place.url}: {_reason(error)}") from None
        except httpx2.TransportError as error:
            done = "" if method == "GET" else "; whether it was done is open: look before you give the command again"
            raise NoAnswer(f"no answer from {self._place.url}: {_reason(error)}{done}") from None


def _again(request: httpx2.Request, error: BaseException) -> bool:
    if isinstance(error, _NEVER_SENT):
        return _UNTRUSTED not in str(error)
    if isinstance(error, httpx2.TimeoutException):
        return False  # it is at work on it
    once = request.method not in _TWICE or "if-match" in request.headers  # which would not match its own change
    return not once and isinstance(error, httpx2.TransportError | _Busy)


def _trust(place: Place) -> ssl.SSLContext | bool:
    if not place.url.startswith("https://"):
        return True
    try:
        return ssl.create_default_context(cafile=str(place.ca) if place.ca else None)
    except (OSError, ssl.SSLError) as error:
        raise NotAsked(f"--ca: {place.ca}: {getattr(error, 'strerror', None) or error}") from None


def _reason(error: Exception) -> str:
    if isinstance(error, httpx2.TimeoutException):
        return "it took too long"
    text = re.sub(r"^\[Errno -?\d+\] ", "", str(error)) or type(error).__name__
    if _UNTRUSTED in text:
        return f"{text}; give --ca with the certificate of its CA, and --url with a name in its certificate"
    return text


def _refusal(response: httpx2.Response) -> Refused:
    problem = problem_of(response.content)
    text = text_of(response.status_code, problem, response.headers.get("x-request-id"))
    return Refused(text, response.status_code, problem)


def _read(response: httpx2.Response) -> dict[str, Any]:
    if not response.content:
        return {}
    try:
        said = response.json()
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise NoAnswer(_NO_API)
    return said
