"""One look at an issuer's keys, over the network: verified TLS, no redirects, bounded in time and size.

No proxy of the environment is used, and nothing is sent but the question.
"""

import asyncio
import ssl

import aiohttp

from headgate import __version__
from headgate.issuers import IssuerRow, PublicKey
from ledger.issuers.issuer_answers import MAX_BYTES, Unusable, fresh_s, jwks_uri_of, keys_of

TIMEOUT_S = 10.0
DISCOVERY = "/.well-known/openid-configuration"
_HEADERS = {"accept": "application/json", "accept-encoding": "identity", "user-agent": f"headgate/{__version__}"}
_OK = 200


class Unfetched(Exception):  # noqa: N818 - what happened, not what went wrong
    """There are no keys to be had now; the text says why, and quotes nothing of an answer."""


async def fetch_keys(row: IssuerRow) -> tuple[list[PublicKey], int, float]:
    """The keys, how many could not be used, and for how many seconds they are fresh. Raises Unfetched."""
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    try:
        context = await asyncio.to_thread(ssl.create_default_context, cafile=row.ca)  # the system's takes a while
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=_HEADERS,
            timeout=timeout,
            auto_decompress=False,
        ) as client:
            uri = row.jwks_uri
            if uri is None:
                body, _ = await _get(client, row.issuer.rstrip("/") + DISCOVERY, "metadata")
                uri = jwks_uri_of(body, row.issuer)
            body, cache_control = await _get(client, uri, "keys")
        keys, unusable = keys_of(body)
    except TimeoutError:
        raise Unfetched(f"no answer within {TIMEOUT_S:g} s") from None
    except Unusable as error:
        raise Unfetched(str(error)) from None
    except (aiohttp.ClientError, OSError, ValueError) as error:  # their texts have addresses, and what was answered
        raise Unfetched(type(error).__name__) from None
    return keys, unusable, fresh_s(cache_control)


async def _get(client: aiohttp.ClientSession, url: str, what: str) -> tuple[bytes, str]:
    """The body, and what the answer says of caching."""
    async with client.get(url, allow_redirects=False) as reply:
        if reply.status != _OK:
            raise Unfetched(f"the {what} are answered with {reply.status}")
        if reply.headers.get("content-encoding", "identity").lower() != "identity":
            raise Unfetched(f"the {what} are compressed")
        body = bytearray()
        async for piece in reply.content.iter_chunked(2**16):
            body += piece
            if len(body) > MAX_BYTES:
                reply.close()
                raise Unfetched(f"the {what} are larger than {MAX_BYTES} bytes")
        return bytes(body), reply.headers.get("cache-control", "")
