"""/metrics: what the parts have counted, what Envoy has, and what the supervisor sees, in one text.

A part that does not answer is a 0 in it, never an error of the scrape: metrics are wanted most when parts are down.
"""

import asyncio
import os
import struct
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import aiohttp
import structlog
from cryptography import x509
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

import headgate
from headgate import contract
from headgate.config.model import Gateway
from headgate.supervise import envoy_stats, families, metric_files
from headgate.supervise.counters_data import damaged
from headgate.supervise.envoy_admin import EnvoyAdmin
from headgate.supervise.envoy_stats import Samples
from headgate.supervise.families import Family

log = structlog.get_logger()

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Exposition:
    """Collects what one scrape shows. A metric that two places know is shown once, the first one's."""

    def __init__(self) -> None:
        self._families: dict[str, Metric] = {}

    def add(self, families: Iterable[Metric]) -> None:
        """Takes whole metrics."""
        for family in families:
            self._families.setdefault(family.name, family)

    def add_samples(self, samples: Samples) -> None:
        """Takes values of metrics that have no process of their own."""
        self.add(metric_of(family, values) for family, values in samples.items())

    def collect(self) -> Iterator[Metric]:
        """In the order of their names, for prometheus_client and for people."""
        for name in sorted(self._families):
            yield self._families[name]

    def text(self) -> bytes:
        """In Prometheus' text format."""
        registry = CollectorRegistry()
        registry.register(self)
        return generate_latest(registry)


def metric_of(family: Family, values: Mapping[tuple[str, ...], float]) -> Metric:
    """One metric with its values by labels."""
    kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    made = kind(family.name, family.help, labels=family.labels)
    for labels, value in values.items():
        made.add_metric(labels, value)
    return made


async def parts_metrics() -> list[Metric]:
    """What the processes of Python have counted; in a thread, since there may be many lines."""
    try:
        return list(await asyncio.to_thread(metric_files.merged))
    except (OSError, RuntimeError, ValueError, struct.error) as error:
        log.warning("the parts' metrics can't be read", error=f"{type(error).__name__}: {error}")
        return []


async def envoy_metrics() -> Samples:
    """Envoy's statistics; none while it does not answer. What older Envoys still finish counts as being there."""
    serving = contract.ENVOY_ADMIN_SOCKET
    current = serving.resolve().name
    others = [path for path in contract.RUN.glob("envoy-*.sock") if path.name not in (serving.name, current)]
    stats, *older = await asyncio.gather(*(_stats_of(socket) for socket in (serving, *others)))
    if not stats:
        return {}
    samples = envoy_stats.samples_of(stats)
    for old in older:
        envoy_stats.add_present(samples, envoy_stats.samples_of(old))
    return samples


async def _stats_of(socket: Path) -> list[tuple[str, float]]:
    try:
        return await EnvoyAdmin(socket).stats(envoy_stats.FILTER)
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
        return []


def process_samples(pids: dict[str, int]) -> Samples:
    """CPU and memory of each part's process, the supervisor's included."""
    samples: Samples = {families.PART_CPU: {}, families.PART_MEMORY: {}, families.PART_START: {}}
    for part, pid in {"supervisor": os.getpid(), **pids}.items():
        fields = _stat(pid)
        if fields:
            samples[families.PART_CPU][part,] = (int(fields[11]) + int(fields[12])) / _TICKS
            samples[families.PART_MEMORY][part,] = int(fields[21]) * _PAGE
            samples[families.PART_START][part,] = round(_booted() + int(fields[19]) / _TICKS, 2)
    return samples


def spool_samples() -> Samples:
    """Size of the spool, and what is left of its disk."""
    sizes = [size for file in contract.SPOOL.glob("*.ndjson") if (size := _size(file)) is not None]
    disk = os.statvfs(contract.SPOOL)
    return {
        families.SPOOL_FILES: {(): len(sizes)},
        families.SPOOL_BYTES: {(): sum(sizes)},
        families.SPOOL_FREE: {(): disk.f_bavail * disk.f_frsize},
    }


def counters_samples() -> Samples:
    """What of the embedded counters' files is set aside."""
    return {families.COUNTERS_DAMAGED: {(): len(damaged())}}


def certificate_files(gateway: Gateway, base: Path) -> dict[str, Path]:
    """The certificates that a configuration names, by their key in it."""
    named = {"listen.https.cert": gateway.listen.https.cert} if gateway.listen.https else {}
    named |= {
        f"providers.{name}.client_cert": provider.client_cert
        for name, provider in gateway.providers.items()
        if provider.client_cert
    }
    if filters := gateway.services.filters:
        named["services.filters.cert"] = filters.cert
    return {key: base / path for key, path in named.items()}


def certificate_samples(files: Mapping[str, Path]) -> Samples:
    """When the first certificate of each file expires; a file that cannot be read now has none."""
    expiry: dict[tuple[str, ...], float] = {}
    for key, path in files.items():
        try:
            chain = x509.load_pem_x509_certificates(path.read_bytes())
        except (OSError, ValueError):
            continue
        expiry[key,] = chain[0].not_valid_after_utc.timestamp()
    return {families.CERTIFICATE_EXPIRY: expiry}


def static_samples() -> Samples:
    """What does not change."""
    return {families.BUILD_INFO: {(headgate.__version__,): 1}}


def _stat(pid: int) -> Sequence[str]:
    """The fields of /proc/PID/stat from the third on; empty when it has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ()
    return stat.rpartition(")")[2].split()


def _booted() -> float:
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


def _size(file: Path) -> int | None:
    try:
        return file.stat().st_size
    except FileNotFoundError:  # the follower removes what is settled
        return None
