"""What is said to those who ask about usage and get no answer: OpenAI's errors.

    Refused          raised by whoever finds a reason; becomes the answer
    of_problem       what control's own layers raise for all of its APIs

A text names what to change. What looks like a virtual key is masked.
"""

from collections.abc import Mapping

from starlette.responses import Response

from control.problems import Problem
from headgate.contract import ERROR_SOURCE
from headgate.error_shapes import Problem as Told
from headgate.error_shapes import rendered
from headgate.virtual_key import KEY, PREFIX

RETRY_S = "5"  # after something that is away


class Refused(Exception):  # noqa: N818 - an answer to the caller
    """`param` is the query's parameter that is at fault, as the client has written it."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.param = status, code, message, param
        self.headers = dict(headers or {})

    def response(self, request_id: str | None) -> Response:
        """As it goes out."""
        kind = "server_error" if self.status >= 500 else "requests" if self.status == 429 else "invalid_request_error"
        text, param = (None if said is None else KEY.sub(f"{PREFIX}***", said) for said in (self.message, self.param))
        told = Told(self.status, text or "", kind, param, self.code)
        headers = {**self.headers, ERROR_SOURCE: "gateway"}
        return Response(rendered("openai", told, request_id), self.status, headers, media_type="application/json")


def invalid(param: str, message: str) -> Refused:
    """A parameter that can't be as it is."""
    return Refused(400, "invalid_value", message, param)


def away(code: str, message: str) -> Refused:
    """Another part has no answer now."""
    return Refused(503, code, message, headers={"retry-after": RETRY_S})


def of_problem(problem: Problem) -> Refused:
    """Of what stands before all of control's APIs: who asks, and how much at once."""
    return Refused(problem.status, problem.code, problem.detail, headers=problem.headers)
