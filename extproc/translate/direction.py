"""What a direction of translation is: from a client's API to a provider's, and the provider's answer back.

Sans-IO: no clock, no network, no environment, nothing remembered beyond one attempt. A direction always starts from
the client's original body, never from another translation. What it cannot carry over it names; it drops nothing in
silence.
"""

from dataclasses import dataclass
from typing import Any, Protocol

from extproc.translate.failure import Failure


@dataclass(frozen=True, slots=True)
class Target:
    """What a direction is told of the target. `usage` and `preset` are as in gateway.yaml."""

    provider: str
    model: str
    usage: str = "final"
    max_output_tokens: int | None = None
    preset: str | None = None


@dataclass(frozen=True, slots=True)
class ProviderRequest:
    """The request in the provider's API. `path` follows the provider's /v1 (Gemini's /v1beta, Cohere's /v2, Bedrock's
    root) and may have a query; `headers` are the API's own."""

    path: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    dropped: tuple[str, ...] = ()  # the client's parameters that the provider's API has no place for
    max_tokens: int | None = None  # the limit of the answer, where it is lower than what the client asked for
    echo: str = ""  # a JSON object: what the answer repeats of the client's request, where its API does so


@dataclass(frozen=True, slots=True)
class Known:
    """What an answer to the client depends on beside the provider's answer: ids, times, the client's request."""

    request_id: str
    created: int  # seconds since the epoch
    functions: bool = False  # the client knows tools as OpenAI's deprecated `functions`
    as_base64: bool = False  # vectors, of embeddings
    echo: str = ""  # as the request's translation has it
    model: str = ""  # the target's
    input_tokens: int | None = None  # where the answer's head tells


class StreamDecoder(Protocol):
    """One streamed answer of a provider, event stream in, event stream out, however the bytes are cut.

    Until `started` is true nothing of the answer itself (text, reasoning, a tool call, its end) is in what `feed` has
    returned, so the caller may hold that back and still try another target. A decoder that sets `failure` is done:
    before `started` it returns nothing more; after that, the last bytes it returned are the error in the client's
    stream.
    """

    started: bool
    failure: Failure | None

    def feed(self, data: bytes) -> bytes:
        """What the client gets for these bytes; may be nothing."""

    def end(self) -> bytes:
        """The provider has ended its answer: what is left. An answer that stops half-way is a failure."""


class Direction(Protocol):
    """One client API to one provider API; stateless."""

    def unsupported(self, body: dict[str, Any], target: Target) -> tuple[str, ...]:
        """The parameters that the target cannot do, as `messages[2].content[0].type` or `logprobs`.

        Raises BadRequest for what the client's own API does not allow either.
        """

    def request(self, body: dict[str, Any], target: Target) -> ProviderRequest:
        """The request, without what `unsupported` names (that is in `dropped`). Raises BadRequest."""

    def whole(self, body: bytes, known: Known) -> bytes | Failure:
        """A complete answer (status 200) in the client's API, or why it is none."""

    def stream(self, known: Known) -> StreamDecoder:
        """A decoder for a streamed answer (status 200)."""
