"""Made-up lines as Envoy writes them, a `start` and an `end` for each request, and what they add up to."""

import datetime as dt
import json
import random
import uuid
from dataclasses import dataclass
from typing import Any

TENANTS = tuple(f"tenant-{number}" for number in range(20))

_FIXED: dict[str, Any] = {
    "v": 1,
    "type": "end",
    "model": "chat",
    "key_id": "ci",
    "project": None,
    "surface": "chat",
    "target": "openai",
    "provider_key": None,
    "upstream_model": "gpt-4o-mini",
    "attempts": 1,
    "status": 200,
    "flags": "-",
    "cache_write_tokens": None,
    "reasoning_tokens": 0,
    "estimated_completion_tokens": None,
    "unit": None,
    "units": None,
    "estimated_units": None,
    "request_ms": 1,
    "first_token_ms": None,
    "streamed": True,
    "variant": None,
    "provider_left": None,
    "budgets": None,
    "reserved": True,
    "config_generation": 1,
    "price_generation": 1,
    "price_factor": None,
}
_TEXTS = ("time", "request_id", "trace_id", "tenant", "user")
_NUMBERS = (
    *("prompt_tokens", "completion_tokens", "cached_tokens", "estimated_tokens", "counted_tokens"),
    *("content_events", "content_bytes", "bytes_in", "bytes_out", "first_byte_ms", "duration_ms"),
)
# With what differs, in this order; without spaces, as Envoy writes it.
_FORM = _FIXED | dict.fromkeys(_TEXTS, "%s") | dict.fromkeys(_NUMBERS, "%d")
_END = json.dumps(_FORM, separators=(",", ":")).replace('"%d"', "%d") + "\n"
_BEGUN = {"v": 1, "type": "start", "request_id": "%s", "time": "%s", "target": "openai"}
_START = json.dumps(dict.fromkeys(_FORM) | _BEGUN, separators=(",", ":")) + "\n"


@dataclass(frozen=True, slots=True)
class Request:
    """Whose a made-up request was; its tokens are in its line."""

    id: str
    tenant: str
    user: str


@dataclass(slots=True)
class Lines:
    """Makes them, the same for the same seed, and adds up what it has made."""

    chance: random.Random
    count: int = 0
    input: int = 0
    output: int = 0

    def request(self) -> Request:
        """Another one, of one of the tenants and of one of 5,000 users."""
        chance = self.chance
        name = str(uuid.UUID(int=chance.getrandbits(128), version=4))
        return Request(name, TENANTS[chance.randrange(len(TENANTS))], f"user-{chance.randrange(5_000)}")

    def of(self, ended_s: float, request: Request | None = None) -> bytes:
        """The lines of a request that ended then, Unix time."""
        whose, chance = request or self.request(), self.chance
        prompt, completion = chance.randrange(4_000), chance.randrange(900)
        self.count, self.input, self.output = self.count + 1, self.input + prompt, self.output + completion
        time = dt.datetime.fromtimestamp(ended_s, dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        texts = (time, whose.id, f"{chance.getrandbits(128):032x}", whose.tenant, whose.user)
        tokens = (prompt, completion, prompt // 3, prompt, prompt)
        sizes = (completion, 4 * completion, 5 * prompt, 200 * completion)
        times = (chance.randrange(900), chance.randrange(1_000, 9_000))
        return f"{_START % (time, whose.id)}{_END % (*texts, *tokens, *sizes, *times)}".encode()
