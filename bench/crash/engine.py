"""The engine behind the gateway, a simulator in a process of its own, and the count that it keeps itself."""

import json
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.child import end
from bench.failure import Failure
from headgate.supervise import binaries

_ID_CHARACTERS = 36


@dataclass(slots=True)
class Made:
    """What an attempt has made it do. `events` are those with tokens that it has sent."""

    number: int
    streamed: bool
    words: int
    tokens: int  # of the whole answer
    per_event: int
    failed: bool  # on purpose, before there was an answer
    events: int = 0
    completed: bool = False

    @property
    def generated(self) -> int:
        """Tokens. Of an answer in one piece that nobody waited for all that it may have come to."""
        if self.failed:
            return 0
        return min(self.events * self.per_event, self.tokens) if self.streamed else self.tokens


@contextmanager
def engine(folder: Path) -> Iterator[tuple[int, Path]]:
    """Run it; its port and its record."""
    record = folder / "engine.jsonl"
    command = [*binaries.headgate(), "serve", "simulator", "--port", "0", "--record", str(record)]
    with (folder / "engine.log").open("wb") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, start_new_session=True)
    try:
        line = process.stdout.readline().decode() if process.stdout else ""
        found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
        if not found:
            raise Failure(f"the simulator has not started: {line}")
        yield int(found[1]), record
    finally:
        end(process)
        if process.stdout:
            process.stdout.close()


def made_by(record: Path) -> dict[str, list[Made]]:
    """By the gateway's request id; an attempt each."""
    found: dict[str, list[Made]] = defaultdict(list)
    running: dict[int, Made] = {}
    for text in record.read_bytes().splitlines():
        line = json.loads(text)
        if line["event"] == "request":
            if line["method"] == "POST":
                running[line["n"]] = _made(json.loads(line["body"]))
                found[line["id"][-_ID_CHARACTERS:]].append(running[line["n"]])
        elif line["n"] in running:
            running[line["n"]].events, running[line["n"]].completed = line["chunks_sent"], line["completed"]
    return dict(found)


def _made(body: dict[str, object]) -> Made:
    wish, messages = body["simulate"], body["messages"]
    assert isinstance(wish, dict)  # noqa: S101 - it is as bench.crash.asks has made it
    assert isinstance(messages, list)  # noqa: S101
    words = messages[-1]["content"].split()
    return Made(
        number=int(words[0]),
        streamed=bool(body["stream"]),
        words=len(words),
        tokens=wish["tokens"],
        per_event=wish["tokens_per_event"],
        failed="status" in wish or wish.get("cut_after") == "before_headers",
    )
