"""The hold filter of envoy/module, called as Envoy calls it: built with sanitizers behind envoy_side.c.

A race, a use after free, an overflow or a leak ends the process, and the test with it.
"""

import functools
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from hatch_build import MODULE_SOURCES, compiler

HERE = Path(__file__).parent
ADDRESS = "-fsanitize=address,undefined"
THREAD = "-fsanitize=thread"
WRAPPED = "-Wl,--wrap=calloc"
WITHOUT = ["-fsanitize=undefined", "-fsanitize-trap=undefined"]  # where a compiler comes without these
NAMES = ("begun.c", "begun_cohere.c", "frames.c", "hold.c", "json.c", "module.c", "timer.c")
SOURCES = [path for path in MODULE_SOURCES if path.name in NAMES]

NEVER = 10_000_000  # ms: no test takes as long
SOON = 60

_folder = TemporaryDirectory()


@dataclass(frozen=True)
class Attempt:
    """One attempt's answer. Events after its head: b a piece of the body, e an empty one, t trailers, w a wait until
    the alarm has rung, if there is one. Of streams that are translated also pieces that say something: n nothing yet,
    a an answer, i one in an event that does not end, f the beginning of an error's event, l and o its end with a rate
    limit and without. A capital letter is the last piece.
    """

    events: str
    headers_ms: float | None = NEVER
    status: int = 200
    path: str = "-"  # -: no path of its own, s: the client's, o: that of another API
    ends: bool = False  # with its head
    fails: bool = False  # Envoy gives no scheduler
    starves: bool = False  # there is no memory
    starves_late: bool = False  # from its head on

    @property
    def line(self) -> str:
        """As the program reads it."""
        time = -1 if self.headers_ms is None else self.headers_ms
        flags = f"{self.ends:d} {self.fails:d} {self.starves:d} {self.starves_late:d}"
        return f"{time:g} {self.status} {self.path} {flags} _{self.events}\n"


def played(attempts: Iterable[Attempt]) -> list[str]:
    """For each attempt, after its head and after each event: `h` if the head has gone on, `.` if it is held. Behind
    that, of one that is marked as to be translated, a comma and its status, and `+` if its model is to rest.
    """
    text = "".join(attempt.line for attempt in attempts)
    done = subprocess.run([program(ADDRESS)], input=text, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def at_once(sanitizer: str, threads: int, streams: int) -> None:
    """Plays so many streams on each of so many threads, all at random."""
    command = [program(sanitizer), str(threads), str(streams)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if "unexpected memory mapping" in done.stderr:  # older ThreadSanitizers, where addresses are too random
        done = subprocess.run(["setarch", "-R", *command], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr


@functools.cache
def program(sanitizer: str) -> Path:
    """Built once."""
    made = Path(_folder.name) / f"hold{sanitizer.partition('=')[2]}"
    flags = ["-std=gnu11", "-pthread", "-g", "-O1", "-Wall", "-Wextra", "-Werror", f"-I{SOURCES[0].parent}"]
    sources = [HERE / "envoy_side.c", *SOURCES]
    done = None
    for chosen in ([sanitizer, "-fno-sanitize-recover=all"], WITHOUT):
        command = [*compiler(), *flags, *chosen, *sources, WRAPPED, "-o", made]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode == 0:
            return made
    raise AssertionError(done and done.stderr)
