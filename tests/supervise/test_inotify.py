"""Envoy's watched files against the kernel's limit. No test may use it up: other programs need theirs."""

import os
import resource
from collections.abc import Iterator
from contextlib import suppress

import pytest

from headgate.supervise import inotify
from headgate.supervise.refusal import Refusal


@pytest.fixture
def few_descriptors() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (_opened() + 40, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def _opened() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - their names, no paths


def _watches() -> int:
    """Those of this process that watch files; other threads of it open and close other files meanwhile."""
    found = 0
    for entry in os.scandir("/proc/self/fd"):
        with suppress(FileNotFoundError):
            found += os.readlink(entry.path) == "anon_inode:inotify"  # noqa: PTH115 - no path, a description
    return found


def test_a_few_are_there_and_are_given_back() -> None:
    before = _watches()
    inotify.require(3)
    assert _watches() == before


@pytest.mark.usefixtures("few_descriptors")
def test_more_than_there_are_is_refused_and_those_are_given_back() -> None:
    before = _watches()
    with pytest.raises(Refusal, match=r"100 more files to watch.*fs\.inotify\.max_user_instances"):
        inotify.require(100)
    assert _watches() == before
