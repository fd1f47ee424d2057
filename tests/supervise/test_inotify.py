"""Envoy's watched files against the kernel's limit. No test may use it up: other programs need theirs."""

import gc
import os
import resource
from collections.abc import Iterator

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
    gc.collect()  # what other tests have left open is closed before, and not between
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - their names, no paths


def test_a_few_are_there_and_are_given_back() -> None:
    before = _opened()
    inotify.require(3)
    assert _opened() == before


@pytest.mark.usefixtures("few_descriptors")
def test_more_than_there_are_is_refused_and_those_are_given_back() -> None:
    before = _opened()
    with pytest.raises(Refusal, match=r"100 more files to watch.*fs\.inotify\.max_user_instances"):
        inotify.require(100)
    assert _opened() == before
