"""Every direction that the gateway has, and what its tests have to know of it: how its golden folder is called, what
its client may ask, what its provider takes, and who reads its answers.

A new direction is a row in the table of extproc.translate; what is missing for it here fails its tests.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import openai
from anthropic.types.message_create_params import MessageCreateParams
from google.genai import types
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter

from extproc.surfaces import BY_NAME
from extproc.translate import DIRECTIONS
from extproc.translate.direction import Direction, Known, ProviderRequest
from tests.translate.allowed_messages import allowed_messages
from tests.translate.bedrock_frames import encoded
from tests.translate.bedrock_requests import checked_converse
from tests.translate.chat_bodies import TEXT, chat_bodies, some
from tests.translate.cohere_requests import Chat, Embed, Ranking, Rerank
from tests.translate.golden import KNOWN, Case
from tests.translate.google_requests import checked_gemini
from tests.translate.openai_requests import checked_openai, read
from tests.translate.openai_responses import checked_events, checked_response, response_in, sdk_response
from tests.translate.response_bodies import response_bodies
from tests.translate.sdk_clients import (
    anthropic_assembled,
    anthropic_parsed,
    openai_assembled,
    openai_parsed,
    transport,
)

_MESSAGES: TypeAdapter[Any] = TypeAdapter(MessageCreateParams)
_SAMPLING = ("temperature", "top_p")  # of older models; Anthropic's SDK has forgotten them


@dataclass(frozen=True, slots=True)
class Way:
    """One direction."""

    surface: str
    api: str
    direction: Direction

    def __str__(self) -> str:
        return f"{self.surface}-{self.api}"

    @property
    def folder(self) -> str:
        """The golden folder. Chat's are called by the client's API, and so is that of Anthropic's on OpenAI's."""
        if self.surface == "chat":
            return f"openai_{self.api}"
        return "anthropic_openai" if str(self) == "messages-openai" else f"{self.surface}_{self.api}"

    @property
    def streams(self) -> bool:
        return BY_NAME[self.surface].streams

    @property
    def models(self) -> tuple[str, ...]:
        """Of the provider: each differs in what it takes."""
        kind = self.surface if self.surface in ("embeddings", "rerank") else "chat"
        return MODELS[kind, self.api]

    def bodies(self) -> st.SearchStrategy[dict[str, Any]]:
        """Requests that the client's API allows."""
        return BODIES[self.surface]()

    def check(self, made: ProviderRequest, model: str) -> None:
        """Asserts that the provider takes a request."""
        body, kind = json.loads(made.body), self.surface if self.surface in ("embeddings", "rerank") else "chat"
        CHECKS[kind, self.api](body, model, made.path)

    def known(self, case: Case) -> Known:
        """What an answer depends on beside itself, by the request that the case has."""
        known = replace(KNOWN, model=case.target.model) if self.api == "bedrock" else KNOWN
        if not case.has("request.client.json"):
            return known
        body = case.json("request.client.json")
        if self.surface == "embeddings":
            return replace(known, as_base64=body.get("encoding_format") == "base64")
        if self.surface == "responses":
            return replace(known, echo=self.direction.request(body, case.target).echo)
        return known

    def stream_of(self, case: Case) -> bytes | None:
        """The provider's stream, where the case has one."""
        if case.has("stream.provider.json"):
            return encoded(case.json("stream.provider.json"))
        return case.read("stream.provider.sse") if case.has("stream.provider.sse") else None


def _of(kind: type[BaseModel]) -> Callable[[dict[str, Any], str, str], None]:
    def check(body: dict[str, Any], _model: str, _path: str) -> None:
        kind.model_validate(body)

    return check


def _openai(body: dict[str, Any], _model: str, _path: str) -> None:
    assert checked_openai({"stream": False, **body}) == {"stream": False, **body}


def _anthropic(body: dict[str, Any], _model: str, _path: str) -> None:
    known = {name: value for name, value in body.items() if name not in _SAMPLING}
    read(_MESSAGES.validate_python({"stream": False, **known}, extra="forbid"))


def _embedded_by_gemini(body: dict[str, Any], model: str, path: str) -> None:
    assert path == f"/models/{model}:batchEmbedContents"
    assert body.keys() == {"requests"}
    for one in body["requests"]:
        assert one.pop("model") == f"models/{model}"
        types.Content.model_validate(one.pop("content"))
        types.EmbedContentConfig.model_validate(one)


def _embedded_by_bedrock(body: dict[str, Any], model: str, path: str) -> None:
    assert path.endswith("/invoke")
    if "cohere" in model:
        Embed.model_validate({"model": model, **body})
    else:
        assert body.keys() <= {"inputText", "dimensions"}
        assert isinstance(body["inputText"], str)


@st.composite
def embeddings_bodies(draw: st.DrawFn) -> dict[str, Any]:
    """Any request for embeddings."""
    texts = TEXT.filter(bool) | st.lists(TEXT.filter(bool), min_size=1, max_size=4)
    tokens = st.lists(st.integers(0, 9), min_size=1, max_size=3)
    parameters = some(
        dimensions=st.integers(1, 1024), encoding_format=st.sampled_from(["float", "base64"]), user=TEXT
    )
    return {"model": "e", "input": draw(texts | tokens), **draw(parameters)}


@st.composite
def rerank_bodies(draw: st.DrawFn) -> dict[str, Any]:
    """Any request for a ranking."""
    documents = st.lists(TEXT | st.builds(lambda text: {"text": text}, TEXT), min_size=1, max_size=4)
    parameters = some(top_n=st.integers(1, 5), return_documents=st.booleans(), max_tokens_per_doc=st.integers(1, 9))
    return {"model": "r", "query": draw(TEXT), "documents": draw(documents), **draw(parameters)}


BODIES: dict[str, Callable[[], st.SearchStrategy[dict[str, Any]]]] = {
    "chat": chat_bodies,
    "embeddings": embeddings_bodies,
    "messages": allowed_messages,
    "rerank": rerank_bodies,
    "responses": response_bodies,
}
CHECKS: dict[tuple[str, str], Callable[[dict[str, Any], str, str], None]] = {
    ("chat", "anthropic"): _anthropic,
    ("chat", "bedrock"): checked_converse,
    ("chat", "cohere"): _of(Chat),
    ("chat", "gemini"): lambda body, _model, _path: checked_gemini(body),
    ("chat", "openai"): _openai,
    ("embeddings", "bedrock"): _embedded_by_bedrock,
    ("embeddings", "cohere"): _of(Embed),
    ("embeddings", "gemini"): _embedded_by_gemini,
    ("rerank", "cohere"): _of(Rerank),
}
MODELS = {
    ("chat", "anthropic"): ("claude-3-5-haiku-20241022", "claude-opus-4-6", "claude-opus-5-5", "x"),
    ("chat", "bedrock"): (
        "anthropic.claude-sonnet-4-5-20250929-v1:0",
        "eu.amazon.nova-pro-v1:0",
        "openai.gpt-oss-120b-1:0",
        "meta.llama3-3-70b-instruct-v1:0",
    ),
    ("chat", "cohere"): ("command-r-08-2024", "command-a-03-2025", "command-a-plus-05-2026"),
    ("chat", "gemini"): ("gemini-2.0-flash", "gemini-2.5-pro", "gemini-3.8-flash", "x"),
    ("chat", "openai"): ("gpt-5",),
    ("embeddings", "bedrock"): ("amazon.titan-embed-text-v2:0", "cohere.embed-v4:0"),
    ("embeddings", "cohere"): ("embed-v4.0",),
    ("embeddings", "gemini"): ("gemini-embedding-001",),
    ("rerank", "cohere"): ("rerank-v4.0-fast",),
}


def _embeddings_parsed(body: bytes) -> dict[str, Any]:
    with openai.OpenAI(api_key="none", http_client=transport(body, "application/json")) as client:
        found = client.embeddings.create(model="m", input="x")
        assert [one.index for one in found.data] == [*range(len(found.data))]
        return found.model_dump(exclude_none=True)


def _response_assembled(stream: bytes) -> dict[str, Any]:
    if checked_events(stream)[-1]["type"] == "response.incomplete":  # which the SDK's helper does not wait for
        return response_in(stream)
    return sdk_response(stream).model_dump(exclude_none=True)


# What the client's own SDK makes of a whole answer, and of a stream: it raises for what is none. No SDK of OpenAI's
# knows rankings.
PARSED: dict[str, Callable[[bytes], dict[str, Any]]] = {
    "chat": openai_parsed,
    "embeddings": _embeddings_parsed,
    "messages": anthropic_parsed,
    "rerank": lambda body: Ranking.model_validate_json(body).model_dump(),
    "responses": checked_response,
}
ASSEMBLED: dict[str, Callable[[bytes], dict[str, Any]]] = {
    "chat": openai_assembled,
    "messages": anthropic_assembled,
    "responses": _response_assembled,
}

WAYS = [Way(surface, api, direction) for (surface, api), direction in DIRECTIONS.items()]
STREAMED = [way for way in WAYS if way.streams]
