"""`python -m engines.simulator`: the simulator as a process of its own."""

import os
from pathlib import Path
from typing import Any

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
@click.option("--max-running", default=0, help="Requests that run at once; 0, the default: no limit.")
@click.option("--max-loras", default=0, help="Adapters that run at once; 0, the default: no adapters.")
@click.option("--max-cpu-loras", default=0, help="Adapters kept in memory; default: as --max-loras.")
@click.option("--max-lora-rank", default=16, show_default=True, help="The highest rank of an adapter.")
@click.option("--prefix-cache", default=0, help="Tokens of prompts to remember; 0, the default: none.")
@click.option("--kv-tokens", default=65536, show_default=True, help="Tokens that the KV cache holds.")
@click.option("--start-delay", "start_delay_s", default=0.0, help="Seconds before it listens.")
def main(host: str, port: int, **fields: Any) -> None:
    """Run an OpenAI-compatible engine with deterministic text on HOST:PORT; its key is VLLM_API_KEY, if set."""
    options = Options(api_key=os.environ.get("VLLM_API_KEY", ""), **fields)
    uvloop.run(serve(host, port, options, lambda real: click.echo(f"listening on http://{host}:{real}/v1")))


if __name__ == "__main__":
    main()
