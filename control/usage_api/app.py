"""What is asked about usage, as an ASGI app: who asks, how much at once, the paths, and what becomes of refusals.

It needs no database but for credits: whose usage a caller sees was decided by authz, and what was used the ledger and
the usage store tell.
"""

import time
from collections.abc import Callable
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from control.authentication import IDENTITY, Authentication
from control.problems import Problem
from control.traffic import Traffic
from control.usage_api.accounts import ReadAccount, account_of
from control.usage_api.kinds import KINDS, TENANT_GROUP, UNKNOWN_KINDS, Kind
from control.usage_api.paging import Page, page_of, pieces, shown, up_to
from control.usage_api.parameters import Wanted, wanted_of
from control.usage_api.refusal import Refused, of_problem
from control.usage_api.seeing import Seen, asker_of, narrowed, seen_by
from control.usage_api.standing import AskLedger, standing_of
from control.usage_api.sums import Store, asked, freshness
from headgate.identity import Identity
from headgate.usage_questions import Dimension, SumRow, Sums, SumsAnswer

MOST_RESULTS = 2_000  # of one page: some 1 MB, and 10 ms of this process
SHARE = 1  # request of a tenant that is answered at a time: the store works at two for all
_PREFIXES = ("", "/tenants/{tenant}")
_json = msgspec.json.Encoder(decimal_format="number")


class UsageApi:
    """What its paths have in common. `clock` is in seconds since the epoch."""

    def __init__(
        self,
        ask_ledger: AskLedger,
        store: Store,
        read_account: ReadAccount,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._ask_ledger, self._store, self._read_account, self._clock = ask_ledger, store, read_account, clock
        self._traffic = Traffic(share=SHARE)

    def routes(self) -> list[Route]:
        """All of them; whoever is not for GET is 405."""
        found: list[tuple[str, Callable[[Request, Seen], Any]]] = [("/v1/usage", self._standing)]
        found += [(f"/v1/organization/{path}", self._buckets(path, kind)) for path, kind in KINDS.items()]
        found += [(f"/v1/organization/{path}", _unknown(what)) for path, what in UNKNOWN_KINDS.items()]
        return [Route(f"{prefix}{path}", self._answering(serve)) for prefix in _PREFIXES for path, serve in found]

    def _answering(self, serve: Callable[[Request, Seen], Any]) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            asker = asker_of(request.scope[IDENTITY], request.path_params.get("tenant"))
            try:
                with self._traffic.asking(asker, writes=False):
                    async with self._traffic.working(asker):
                        found: Response = await serve(request, seen_by(asker))
                        return found
            except Problem as problem:
                raise of_problem(problem) from None

        return answer

    async def _standing(self, request: Request, seen: Seen) -> Response:
        query = request.query_params.multi_items()
        now_s = int(self._clock())
        said = await standing_of(seen, query, self._ask_ledger, self._store, now_s)
        return _answer(said | await account_of(said, self._read_account, self._store, now_s))

    def _buckets(self, path: str, kind: Kind) -> Callable[[Request, Seen], Any]:
        async def serve(request: Request, seen: Seen) -> Response:
            wanted, now_s = wanted_of(kind, request.query_params.multi_items()), int(self._clock())
            page = page_of(path, wanted, now_s)
            page, answer = await self._sums(kind, wanted, page, seen)
            return _answer(shown(path, kind, wanted, page, answer, now_s), freshness(answer))

        return serve

    async def _sums(self, kind: Kind, wanted: Wanted, page: Page, seen: Seen) -> tuple[Page, SumsAnswer | None]:
        """The page as far as it is answered. None: no request can be meant."""
        allowed = narrowed(seen, wanted.tenants, wanted.where)
        if allowed is None or wanted.is_empty or page.since_s >= page.until_s:
            return page, None
        tenant, where = allowed
        told, rows, until_ms = page, list[SumRow](), list[int]()
        for piece in pieces(page, wanted):
            question = Sums(
                tenant=tenant,
                since_s=piece.since_s,
                until_s=piece.until_s,
                width=wanted.bucket.width,
                by=_dimensions(kind, wanted.groups),
                where=dict(where),
                after=piece.after,
                limit=MOST_RESULTS - len(rows),
            )
            answer = await asked(self._store, question)
            told = up_to(page, piece)
            rows += answer.rows
            until_ms.append(answer.stored_until_ms)
            if answer.next is not None or len(rows) >= MOST_RESULTS:
                break
        return told, SumsAnswer(rows=rows, next=answer.next, stored_until_ms=min(until_ms))


def make_usage_app(
    service_key: Callable[[], bytes],
    note_use: Callable[[Identity], None],
    ask_ledger: AskLedger,
    store: Store,
    read_account: ReadAccount,
    clock: Callable[[], float] = time.time,
) -> Starlette:
    """`service_key` is asked for each request, and `note_use` told who asks. `read_account`: of the database."""
    app = Starlette(routes=UsageApi(ask_ledger, store, read_account, clock).routes())
    app.router.redirect_slashes = False
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_middleware(Authentication, service_key=service_key, note_use=note_use, told=_told)
    return app


def _dimensions(kind: Kind, groups: tuple[str, ...]) -> tuple[Dimension, ...]:
    found: dict[Dimension, None] = {}
    for name in groups:
        found |= dict.fromkeys(("tenant",) if name == TENANT_GROUP else kind.groups[name])
    return tuple(found)


def _unknown(what: str) -> Callable[[Request, Seen], Any]:
    async def serve(_: Request, __: Seen) -> Response:
        raise Refused(404, "not_recorded", f"this gateway has no {what}, and so no usage of them")

    return serve


def _answer(said: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    return Response(_json.encode(said), headers=headers, media_type="application/json")


def _id(request: Request) -> str | None:
    identity = request.scope.get(IDENTITY)
    return identity.request_id if identity else None


def _told(problem: Problem, request_id: str | None) -> Response:
    return of_problem(problem).response(request_id)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)  # noqa: S101 - what the handler is registered for
    return error.response(_id(request))


async def _http_error(request: Request, error: Exception) -> Response:
    """No such path, or no such method there."""
    assert isinstance(error, HTTPException)  # noqa: S101 - likewise
    if error.status_code == 405:
        refused = Refused(405, "method_not_allowed", "only GET is known here", headers={"allow": "GET"})
    else:
        refused = Refused(404, "unknown_url", "there is nothing at this address")
    return refused.response(_id(request))
