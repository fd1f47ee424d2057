"""Tokens verified: by an issuer of gateway.yaml, with a key that it has published, and by nothing that they say.

What was verified is remembered for a minute at most, by the token's SHA-256: that a person was disabled is seen with
every request all the same (`authz.token`), that an issuer has withdrawn a key within a second.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Iterable
from hashlib import sha256

import msgspec

from authz import jose
from authz.claims import Unacceptable, Verified, verified
from authz.issuer_keys import HeldKeys
from authz.signatures import is_signed
from headgate.issuers import IssuerRow

REMEMBERED_S = 60.0
MOST_REMEMBERED = 4096  # some 2 MB
WAIT_S = 2.0  # for keys that are being fetched
WAIT_STEP_S = 0.05
MOST_WAITING = 64

UNKNOWN_KEY, NO_KEYS = "unknown_token_key", "issuer_keys_unavailable"


class _Remembered(msgspec.Struct, frozen=True, gc=False):
    who: Verified
    until: float
    keys: HeldKeys
    version: int  # of the keys


class _Issuer(msgspec.Struct, frozen=True):
    row: IssuerRow
    keys: HeldKeys


class TokenCheck:
    """Of one generation of the tables."""

    def __init__(self, rows: Iterable[IssuerRow]) -> None:
        self._issuers = {row.issuer: _Issuer(row, HeldKeys(row)) for row in rows}
        self._known: OrderedDict[bytes, _Remembered] = OrderedDict()
        self._waiting = 0

    def verify(self, text: str, now: float) -> Verified:
        """Who a token says it is, and may say so. Raises Unacceptable. `now` is seconds since the epoch."""
        digest = sha256(text.encode(errors="surrogatepass")).digest()
        known = self._known.get(digest)
        if known and now < known.until and known.keys.count(now) and known.keys.version == known.version:
            return known.who
        try:
            token = jose.read(text)
        except jose.Malformed:
            raise Unacceptable("malformed_token") from None
        issuer = self._issuer(token)
        self._verify_signature(text, token, issuer, now)
        who = verified(token.claims, issuer.row, now)
        self._remember(digest, _Remembered(who, min(now + REMEMBERED_S, who.ends), issuer.keys, issuer.keys.version))
        return who

    def until_fetched(self, text: str, reason: str, now: float) -> Awaitable[None] | None:
        """Have the issuer's keys fetched anew, and wait for them, a moment; None where there is nothing to wait for.

        `reason` is why `verify` has refused the token.
        """
        if reason not in (UNKNOWN_KEY, NO_KEYS) or self._waiting >= MOST_WAITING:
            return None
        keys = self._issuer(jose.read(text)).keys
        return self._wait(keys) if keys.want(now) else None

    def _issuer(self, token: jose.Token) -> _Issuer:
        name = token.claims.get("iss")
        issuer = self._issuers.get(name) if isinstance(name, str) else None
        if issuer is None:
            raise Unacceptable("unknown_issuer")
        return issuer

    def _verify_signature(self, text: str, token: jose.Token, issuer: _Issuer, now: float) -> None:
        if token.algorithm not in issuer.row.algorithms:
            raise Unacceptable("token_algorithm")
        if not issuer.keys.count(now):
            raise Unacceptable(NO_KEYS)
        key = issuer.keys.find(token.algorithm, token.kid)
        if key is None:
            issuer.keys.look()
            key = issuer.keys.find(token.algorithm, token.kid)
        if key is None:
            raise Unacceptable(UNKNOWN_KEY)
        if not is_signed(text, key, token.algorithm):
            raise Unacceptable("bad_token_signature")

    def _remember(self, digest: bytes, one: _Remembered) -> None:
        self._known.pop(digest, None)
        self._known[digest] = one
        if len(self._known) > MOST_REMEMBERED:
            self._known.popitem(last=False)

    async def _wait(self, keys: HeldKeys) -> None:
        self._waiting += 1
        try:
            version = keys.version
            async with asyncio.timeout(WAIT_S):
                while keys.version == version:
                    await asyncio.sleep(WAIT_STEP_S)
                    keys.look()
        except TimeoutError:
            return
        finally:
            self._waiting -= 1
