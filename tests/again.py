"""Run the files whose tests failed last once more, one test after the other: `python tests/again.py -m "not alone"`.

Whole files, because some tests go on from what those before them left in the gateway that they share. What fails here
has failed; so has a run that ended without naming a test.
"""

import json
import sys
from pathlib import Path

import pytest

_FAILED = Path(".pytest_cache/v/cache/lastfailed")


def main(options: list[str]) -> int:
    """Pytest's exit code of the second try."""
    try:
        failed = json.loads(_FAILED.read_bytes())
    except FileNotFoundError:
        failed = {}
    files = sorted({name.partition("::")[0] for name in failed})
    if not files:
        sys.stderr.write("the tests failed, and none is named: nothing to run again\n")
        return 1
    sys.stderr.write(f"failed once and run again: {', '.join(failed)}\n")
    return int(pytest.main(["--exitfirst", *options, *files]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
