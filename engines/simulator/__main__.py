"""`python -m engines.simulator`: the simulator as a process of its own."""

from pathlib import Path

import click
import uvloop

from engines.simulator.options import DEFAULT_MODEL, Options
from engines.simulator.serve import serve


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, help="0 takes a free one.")
@click.option("--model", default=DEFAULT_MODEL, show_default=True, help="The name said in every reply.")
@click.option("--ttft", "ttft_s", default=0.15, show_default=True, help="Seconds until the first token.")
@click.option("--token", "token_s", default=0.02, show_default=True, help="Seconds for each token.")
@click.option("--record", type=click.Path(dir_okay=False, path_type=Path), help="Append what is received here.")
def main(host: str, port: int, model: str, ttft_s: float, token_s: float, record: Path | None) -> None:
    """Run an OpenAI-compatible engine with deterministic text on HOST:PORT."""
    options = Options(model=model, ttft_s=ttft_s, token_s=token_s, record=record)
    uvloop.run(serve(host, port, options, lambda real: click.echo(f"listening on http://{host}:{real}/v1")))


if __name__ == "__main__":
    main()
