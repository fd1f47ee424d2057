"""`services.filters` of gateway.yaml: filter workers on other hosts, and how both sides know each other."""

from typing import Annotated

from pydantic import Field, PlainValidator

from headgate.config import addresses
from headgate.config.addresses import Address
from headgate.config.entry import Entry, FilePath

Endpoint = Annotated[
    Address, PlainValidator(lambda value: value if isinstance(value, Address) else addresses.reached_address(value))
]


class FilterHosts(Entry):
    """One endpoint for each worker. `cert` and `key` are shown to them, `ca` is what theirs are verified with."""

    endpoints: Annotated[list[Endpoint], Field(min_length=1)]
    ca: FilePath
    cert: FilePath
    key: FilePath
    server_name: Annotated[str, PlainValidator(addresses.host_name)] | None = None

    @property
    def names(self) -> list[str]:
        """A worker's certificate has to have one of these: a DNS name or an address."""
        return [self.server_name] if self.server_name else list(dict.fromkeys(one.host for one in self.endpoints))
