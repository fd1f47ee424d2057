"""Asks one replica over HTTP. Whatever is there, an answer comes in time and in bounds, or `Trouble` says why not."""

import asyncio
import ssl
import time

import aiohttp

from engines.watch.place import Place
from engines.watch.tls import client_context
from headgate.contract import SECRETS

TIMEOUT_S = 2.0
MOST_BYTES = 4 * 2**20  # vLLM's /metrics have 50 KB, and more for each engine in it and each set of adapters it had
MOST_MODELS_BYTES = 2**20

_MOST_KEY_BYTES = 16_384
_TLS_AGAIN_S = 10.0


class Trouble(Exception):  # noqa: N818 - it is the engine's and no error of ours
    """No useful answer. `kind` is one of few words, for metrics; the text is for people, and has no address."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class Asker:
    """One replica's connections. Needs a running loop; `close` it."""

    def __init__(self, place: Place, timeout_s: float = TIMEOUT_S) -> None:
        self._place = place
        self._timeout_s = timeout_s
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=2, keepalive_timeout=15),
            timeout=aiohttp.ClientTimeout(total=timeout_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            # What is compressed may be anything when it is unpacked.
            headers={"accept-encoding": "identity", "host": place.authority},
        )
        self._tls: tuple[float, ssl.SSLContext] | None = None

    async def health(self) -> None:
        """Returns when the engine says that it is well. Raises Trouble."""
        await self._get(self._place.health, MOST_MODELS_BYTES)

    async def metrics(self) -> str:
        """The text of /metrics. Raises Trouble."""
        return (await self._get("/metrics", MOST_BYTES, self._credential())).decode(errors="replace")

    async def models(self) -> bytes:
        """The body of /v1/models. Raises Trouble."""
        return await self._get("/v1/models", MOST_MODELS_BYTES, self._credential())

    async def get(self, path: str) -> tuple[int, bytes]:
        """The status and body of what is there, with the credential. Raises Trouble."""
        return await self._ask("GET", path, MOST_MODELS_BYTES, self._credential())

    async def post(self, path: str, body: bytes, within_s: float) -> tuple[int, bytes]:
        """The status and body of the answer to this JSON. Raises Trouble."""
        headers = {"content-type": "application/json", **self._credential()}
        return await self._ask("POST", path, MOST_MODELS_BYTES, headers, body, within_s)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._session.close()

    async def _get(self, path: str, most_bytes: int, headers: dict[str, str] | None = None) -> bytes:
        status, body = await self._ask("GET", path, most_bytes, headers or {})
        if status != 200:
            raise Trouble("status", f"answers {status} to {path}")
        return body

    async def _ask(
        self,
        method: str,
        path: str,
        most_bytes: int,
        headers: dict[str, str],
        body: bytes | None = None,
        within_s: float | None = None,
    ) -> tuple[int, bytes]:
        place, within_s = self._place, within_s or self._timeout_s
        if place.root is None:
            raise Trouble("unresolved", "its name has no address")
        tls = await self._context() if place.scheme == "https" else None
        name = place.name if tls else None
        try:
            async with self._session.request(
                method,
                place.root + path,
                data=body,
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=within_s),
                allow_redirects=False,
                ssl=tls or True,
                server_hostname=name,
            ) as response:
                if response.headers.get("content-encoding", "identity") != "identity":
                    raise Trouble("unreadable", f"answers {path} compressed")
                return response.status, await _bounded(response, most_bytes, path)
        except TimeoutError as error:
            raise Trouble("silent", f"no answer within {within_s:g} s") from error
        except aiohttp.ClientConnectorCertificateError as error:
            raise Trouble("certificate", "shows a certificate that is not good for its name") from error
        except aiohttp.ClientConnectorError as error:
            raise Trouble("refused", "refuses connections") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Trouble("broken", "breaks off its answers") from error

    async def _context(self) -> ssl.SSLContext:
        """Read anew now and then: certificates are renewed. Connections that live keep theirs."""
        now = time.monotonic()
        if self._tls is None or now - self._tls[0] >= _TLS_AGAIN_S:
            try:
                made = await asyncio.to_thread(client_context, self._place.ca_file, self._place.pair_file)
            except (OSError, ValueError) as error:
                raise Trouble("certificate", "its CA or our certificate for it can't be read") from error
            self._tls = now, made
        return self._tls[1]

    def _credential(self) -> dict[str, str]:
        key = self._key() if self._place.key_file else None
        return {"authorization": f"Bearer {key}"} if key else {}

    def _key(self) -> str | None:
        """Read each time, from memory: it may have been renewed."""
        try:
            with (SECRETS / (self._place.key_file or "")).open("rb") as file:
                return file.read(_MOST_KEY_BYTES).decode("ascii", "replace").strip() or None
        except OSError:
            return None


async def _bounded(response: aiohttp.ClientResponse, most_bytes: int, path: str) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_any():
        size += len(part)
        if size > most_bytes:
            response.close()
            raise Trouble("too_large", f"answers {path} with more than {most_bytes} bytes")
        parts.append(part)
    return b"".join(parts)
