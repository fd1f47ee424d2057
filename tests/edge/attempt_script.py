"""Runs the filter `attempt` of envoy/module as configured for a provider: one request through all its attempts."""

import functools
import itertools
from typing import Any

from attempt_side import Metadata, Side
from rendering import clusters_of, rendered

PROVIDER = "providers: {{p: {{api: {api}, {rest}}}}}\nmodels: {{m: {{targets: [{{provider: p, model: m}}]}}}}\n"
HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
SIZES = (0, 1000)  # of the pieces in which an answer comes


def cluster(rest: str, api: str = "openai", **files: str) -> dict[str, Any]:
    """The rendered cluster of a provider that is written so in gateway.yaml."""
    found: dict[str, Any] = clusters_of(rendered(PROVIDER.format(api=api, rest=rest), **files))["provider/p"]
    return found


def attempt_filters(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """A cluster's upstream filters by name, in their order."""
    filters = found["typed_extension_protocol_options"][HTTP_OPTIONS]["http_filters"]
    return {entry["name"]: entry["typed_config"] for entry in filters}


@functools.cache
def side() -> Side:
    """One process for all tests."""
    return Side()


class Script:
    """The filter of one provider's cluster. `files` replaces paths in its text, `now` is its clock."""

    def __init__(self, found: dict[str, Any], **files: str) -> None:
        text: str = attempt_filters(found)["headgate.attempt"]["filter_config"]["value"]
        for name, path in files.items():
            assert name in text
            text = text.replace(name, path)
        self.config: dict[str, str] = {}
        self.keep: set[str] = set()
        for line in text.splitlines()[1:]:
            name, value = line.split(" ", 1)
            if name == "keep":
                self.keep.add(value)
            elif name != "status":
                self.config[name] = value
        number = side().configure(text)
        assert number is not None, text
        self.number, self._now_s = number, 0

    def now(self, seconds: int) -> None:
        """Sets the clock."""
        self._now_s = seconds

    def ask(self, headers: dict[str, str], metadata: dict[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
        """A request's headers and metadata; `:answered` is with which status it is refused."""
        found, known, refused = side().ask(self.number, self._now_s, list(headers.items()), _flat(metadata))
        return dict(found) | ({":answered": str(refused)} if refused else {}), _nested(known)

    def answer(
        self, headers: dict[str, str], metadata: dict[str, Any], body: bytes
    ) -> tuple[dict[str, str], dict[str, Any], bytes]:
        """An answer's headers, metadata and body, which are the same however it comes."""
        told = [
            side().answer(self.number, list(headers.items()), _flat(metadata), body, size=size, trailers=trailers)
            for size, trailers in itertools.product(SIZES, (False, True))
        ]
        for found, known, after in told:
            assert (known, after) == told[0][1:]
            lengths = [int(value) for name, value in found if name == "content-length"]
            assert lengths in ([], [len(after)], [int(headers.get("content-length", -1))])
        found, known, after = told[0]
        return {name: value for name, value in found if name != "content-length"}, _nested(known), after


class Request:
    """One request inside Envoy. What filters do to its headers and metadata stays from attempt to attempt."""

    def __init__(self, headers: dict[str, str], plan: dict[str, Any]) -> None:
        self.metadata: dict[str, Any] = {"hg.request": dict(plan)}
        self._headers = {":method": "POST", ":path": "/v1/x", ":authority": "gateway", ":scheme": "http"} | headers
        self._number = 0

    def attempt(self, script: Script, **translated: str) -> dict[str, str]:
        """The headers that leave the gateway, or `:answered`; `translated` are those that ext_proc sets for it."""
        self._number += 1
        self._headers["x-envoy-attempt-count"] = str(self._number)
        self._headers |= {name.replace("_", "-"): value for name, value in translated.items()}
        self._headers, self.metadata = script.ask(self._headers, self.metadata)
        return dict(self._headers)

    def answered(self, script: Script, status: int, body: str = "{}", **headers: str) -> tuple[dict[str, str], str]:
        """What becomes of the attempt's answer: its headers, but for its length, and its body."""
        given = {":status": str(status), "content-type": "application/json"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        given, self.metadata, after = script.answer(given, self.metadata, body.encode())
        return given, after.decode()


def _flat(metadata: dict[str, Any]) -> Metadata:
    return {(space, key): value for space, values in metadata.items() for key, value in values.items()}


def _nested(metadata: Metadata) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for (space, key), value in metadata.items():
        found.setdefault(space, {})[key] = value
    return found
