"""The ext_authz service: decodes, decides, answers. Replies for known keys are made once per key and snapshot."""

import time

import structlog

from authz import codec
from authz.check import Refusal, check
from authz.keys import KeyTable
from headgate.snapshot import Snapshot
from headgate.worker import Method

log = structlog.get_logger()


class Authorization:
    """envoy.service.auth.v3.Authorization over one snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._keys = KeyTable(snapshot.keys)
        self._generation = snapshot.generation
        self._allowed: dict[bytes, bytes] = {}

    async def check(self, question: codec.Question, _context: object) -> bytes:
        """Answers one CheckRequest."""
        verdict = check(self._keys, question.headers, question.path, time.time())
        if isinstance(verdict, Refusal):
            log.info("refused", request_id=question.request_id, status=verdict.status, code=verdict.code)
            return codec.deny(verdict)
        answer = self._allowed.get(verdict.digest)
        if answer is None:
            answer = self._allowed[verdict.digest] = codec.allow(verdict, self._generation)
        return answer


def services(snapshot: Snapshot) -> list[Method]:
    """What a worker serves for this part."""
    handler = Authorization(snapshot).check
    return [Method(codec.SERVICE, codec.METHOD, handler, codec.decode, streams=False)]
