"""The answers about usage as tests ask for them: the app over a store of rows, callers that authz has signed for."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx2
from admin import SERVICE_KEY, URL
from usage_rows import RowStore

from control.usage_api.app import make_usage_app
from headgate.contract import IDENTITY_HEADER
from headgate.identity import Identity, sign
from headgate.usage_client import UsageAway, UsageRefused
from headgate.usage_questions import Failure, Sums, SumsAnswer

NOW_S = 1_700_050_000  # 2023-11-15 12:06:40 UTC
DAY_S = 86_400
TODAY_S = NOW_S - NOW_S % DAY_S
LIMIT = {
    "name": "rpm",
    "limit": "rpm",
    "scope": {},
    "unit": "requests",
    "used": 3,
    "reserved": 1,
    "cap": 60,
    "soft": None,
    "ceiling": None,
    "burst": 0,
    "left": 56,
    "resets_in_ms": 1000,
    "resets_at": "2023-11-15T12:06:41.000Z",
    "overage": None,
}


@dataclass
class Api:
    """One app, at a time that stands still."""

    rows: RowStore
    ledger: Any = None
    now_s: int = NOW_S
    accounts: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.asked_ledger: list[Mapping[str, Any]] = []
        self.app = make_usage_app(
            *(lambda: SERVICE_KEY, lambda _: None, self._ledger, self),
            lambda tenant: self.accounts.get(tenant),
            lambda: float(self.now_s),
        )

    async def ask(self, question: Sums) -> SumsAnswer:
        """As headgate/usage_client.py does."""
        answer = self.rows.answer(question)
        if isinstance(answer, Failure):
            if answer.kind == "away":
                raise UsageAway(answer.error)
            raise UsageRefused(answer.kind, answer.error)
        assert isinstance(answer, SumsAnswer)
        return answer

    def _ledger(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        self.asked_ledger.append(question)
        if self.ledger is not None:
            found: Mapping[str, Any] = self.ledger(question)
            return found
        return {"tenant": question["tenant"], "limits": [LIMIT], "complete": True, "cut": False, "by_user": False}


@dataclass
class Caller:
    """Somebody as authz has found them."""

    api: Api
    tenant: str | None = "acme"
    role: Any = "developer"
    models: tuple[str, ...] | None = None
    kind: Any = "key"
    memberships: dict[str, Any] = field(default_factory=dict)

    async def get(self, path: str, *query: tuple[str, Any], method: str = "GET", signed: bool = True) -> Any:
        """Below the root: `/v1/usage`."""
        target = path + (f"?{urlencode(query)}" if query else "")
        raw = httpx2.URL(URL + target).raw_path.decode()
        now_ms = round(time.time() * 1000)
        identity = Identity(
            *(self.kind, "ci", self.tenant, self.role, self.memberships),
            *("req-1", "192.0.2.9", method, raw, now_ms, self.models),
        )
        headers = {IDENTITY_HEADER: sign(identity, SERVICE_KEY)} if signed else {}
        transport = httpx2.ASGITransport(app=self.api.app)
        async with httpx2.AsyncClient(transport=transport, base_url=URL) as http:
            return await http.request(method, target, headers=headers)

    async def buckets(self, kind: str, *query: tuple[str, Any]) -> list[dict[str, Any]]:
        """All pages of `usage/completions` and the like, by next_page."""
        found: list[dict[str, Any]] = []
        page: tuple[tuple[str, Any], ...] = ()
        while True:
            answer = await self.get(f"/v1/organization/{kind}", *query, *page)
            assert answer.status_code == 200, answer.text
            said = answer.json()
            assert said["has_more"] == (said["next_page"] is not None)
            found += said["data"]
            if not said["has_more"]:
                return found
            page = (("page", said["next_page"]),)


def error_of(answer: httpx2.Response) -> dict[str, Any]:
    """OpenAI's error, whole."""
    said: dict[str, Any] = answer.json()
    assert set(said) == {"error"}
    assert set(said["error"]) == {"message", "type", "param", "code"}
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-headgate-error-source"] == "gateway"
    return dict(said["error"])
