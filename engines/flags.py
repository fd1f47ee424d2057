"""Flags as gateway.yaml's `args` says them, for a command line. Pure."""

from collections.abc import Iterator, Mapping

Value = bool | str | tuple[str, ...]


def flags_of(args: Mapping[str, Value]) -> Iterator[str]:
    """`--flag` for true, `--no-flag` for false, `--flag=text`, and several values behind their flag."""
    for name, value in args.items():
        if isinstance(value, bool):
            yield f"--{name}" if value else f"--no-{name}"
        elif isinstance(value, str):
            yield f"--{name}={value}"  # in one word: the text may begin with a dash
        else:
            yield from (f"--{name}", *value)
