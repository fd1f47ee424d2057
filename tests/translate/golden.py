"""Golden folders: tests/golden/<client>_<provider>/<case>/, one file per thing that a case shows.

    request.client.json    what the client sends             request.provider.json  what the provider must get
    target.json            members of Target, if not TARGET  dropped.json           what `unsupported` names
    left_out.json          what is left out whatever is asked for, and named in `dropped` alone
    answer.provider.json   a whole answer                    answer.client.json     what the client must get
    stream.provider.sse    the same answer, streamed         stream.client.sse      what the client must get
    stream.provider.json   where streams are frames: their names and payloads
    error.provider.json    {"status", "body"}                failure.json           the Failure, from any of the three

A case has some of them; a test asks for the cases that have what it needs.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from extproc.translate.direction import Known, Target
from extproc.translate.failure import Failure
from tests.translate.bedrock_frames import encoded

FOLDER = Path(__file__).parent.parent / "golden"
KNOWN = Known("3f2a9c1e", 1_767_225_600)
TARGET = Target("provider", "upstream-model")


@dataclass(frozen=True, slots=True)
class Case:
    """One folder."""

    folder: Path

    def __str__(self) -> str:
        return self.folder.name

    def has(self, *files: str) -> bool:
        return all((self.folder / file).exists() for file in files)

    def read(self, file: str) -> bytes:
        return (self.folder / file).read_bytes()

    def json(self, file: str) -> Any:
        return json.loads(self.read(file))

    @property
    def is_streamed(self) -> bool:
        return self.has("stream.provider.sse") or self.has("stream.provider.json")

    @property
    def stream(self) -> bytes:
        """The provider's stream, as it comes."""
        if self.has("stream.provider.json"):
            return encoded(self.json("stream.provider.json"))
        return self.read("stream.provider.sse")

    @property
    def target(self) -> Target:
        return (
            Target(**{"provider": "provider", "model": "upstream-model", **self.json("target.json")})
            if self.has("target.json")
            else TARGET
        )

    @property
    def dropped(self) -> tuple[str, ...]:
        return tuple(self.json("dropped.json")) if self.has("dropped.json") else ()

    @property
    def left_out(self) -> tuple[str, ...]:
        return tuple(self.json("left_out.json")) if self.has("left_out.json") else ()

    @property
    def failure(self) -> Failure | None:
        return Failure(**self.json("failure.json")) if self.has("failure.json") else None


def cases(direction: str, *files: str) -> list[Case]:
    """The cases of a direction that have all these files, by name; for parametrize with `ids=str`."""
    found = [case for case in _cases(direction) if case.has(*files)]
    if not found:  # a test over no cases would pass
        raise LookupError(f"no case in {FOLDER / direction} has {' and '.join(files) or 'any file'}")
    return found


def _cases(direction: str) -> Iterator[Case]:
    return (Case(folder) for folder in sorted((FOLDER / direction).iterdir()) if folder.is_dir())
