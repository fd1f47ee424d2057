"""`python -m bench.crash --requests 20000 --kills 200`: exit status 1 where anything does not add up."""

import argparse
import sys
from pathlib import Path

from rich.console import Console

from bench.crash.asks import Options
from bench.crash.gateway import random_seed
from bench.crash.run import run


def main() -> None:
    """Run, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=Options.requests)
    parser.add_argument("--kills", type=int, default=Options.kills)
    parser.add_argument("--clients", type=int, default=Options.clients, help="requests at once")
    parser.add_argument("--seed", type=int, default=None, help="the same requests and kills again")
    parser.add_argument("--folder", type=Path, help="keep everything that was written there")
    given = parser.parse_args()
    seed = random_seed() if given.seed is None else given.seed
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"seed {seed}")
    verdict = run(Options(given.requests, given.kills, seed, given.clients), given.folder)
    for name, value in verdict.figures.items():
        console.print(f"{name}: {value}")
    for problem in verdict.problems:
        console.print(f"PROBLEM {problem}", markup=False)
    sys.exit(1 if verdict.problems else 0)


if __name__ == "__main__":
    main()
