"""How many files a process may have open: as many as this user may."""

import resource


def raise_open_files() -> int:
    """Let this process and its parts open as many files as they may; how many that is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
