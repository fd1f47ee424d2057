"""What to say where nobody listens on a part's socket: there is no gateway, or its part is away just now."""

from pathlib import Path


def nobody_answers(state: Path, part: str) -> str:
    """To be asked in the state folder, if there is one. `part` is what people call it."""
    from headgate.supervise import parts_file  # loads structlog and asyncio, which `--help` has no use for
    from headgate.supervise.process import start_ticks_of

    records = parts_file.load().values() if state.exists() and state.samefile(".") else ()
    if any(start_ticks_of(record.pid) == record.start_ticks for record in records):
        return f"{part} of the gateway on {state} is away, and is started again: try again in a moment"
    return f"no gateway runs on {state}: give its --state"
