"""How Envoy's filters ask the filter workers: each refuses when nobody answers, none passes a request unchecked."""

from envoy_data_plane.envoy.config.common.mutation_rules.v3 import HeaderMutationRules
from envoy_data_plane.envoy.config.core.v3 import GrpcService, GrpcServiceEnvoyGrpc, HeaderValue
from envoy_data_plane.envoy.extensions.filters.http.ext_proc.v3 import (
    ExternalProcessor,
    HeaderForwardingRules,
    MetadataOptions,
    MetadataOptionsMetadataNamespaces,
    ProcessingMode,
)
from envoy_data_plane.envoy.type.matcher.v3 import ListStringMatcher, StringMatcher
from envoy_data_plane.envoy.type.v3 import HttpStatus, StatusCode

from headgate.contract import EPOCH, FILTERS_CLUSTER, ROLE
from headgate.edge.messages import seconds

# Of one message. Covers parsing a body at the size limit; a dead worker is noticed long before by its connection.
EXT_PROC_TIMEOUT_S = 5.0


def asked(timeout_s: float | None = None, role: str | None = None, epoch: str | None = None) -> GrpcService:
    """The workers; `role` tells extproc's kinds of calls apart, `epoch` says which Envoy asks.

    That another worker is asked when one has died is their cluster's (headgate/edge/workers.py): a policy of the
    service's own is made anew for every call, at a third of what the call costs Envoy.
    """
    said = {ROLE: role, EPOCH: epoch}
    return GrpcService(
        envoy_grpc=GrpcServiceEnvoyGrpc(cluster_name=FILTERS_CLUSTER, skip_envoy_headers=True),
        timeout=seconds(timeout_s) if timeout_s else None,
        initial_metadata=[HeaderValue(key=name, value=value) for name, value in said.items() if value],
    )


def only(names: tuple[str, ...]) -> ListStringMatcher:
    """Headers by their names."""
    return ListStringMatcher(patterns=[StringMatcher(exact=name, ignore_case=True) for name in names])


def processor(
    mode: ProcessingMode,
    *,
    headers: tuple[str, ...],
    reads: list[str],
    writes: list[str],
    role: str | None = None,
    epoch: str | None = None,
) -> ExternalProcessor:
    """A call of extproc: the headers that it gets to see, the metadata namespaces that it reads and writes."""
    return ExternalProcessor(
        grpc_service=asked(role=role, epoch=epoch),
        stat_prefix=role or "",
        message_timeout=seconds(EXT_PROC_TIMEOUT_S),
        failure_mode_allow=False,
        status_on_error=HttpStatus(code=StatusCode.ServiceUnavailable),
        processing_mode=mode,
        forward_rules=HeaderForwardingRules(allowed_headers=only(headers)),
        # allow_envoy: plans set x-envoy-max-retries and the timeouts.
        mutation_rules=HeaderMutationRules(allow_envoy=True),
        metadata_options=MetadataOptions(
            forwarding_namespaces=MetadataOptionsMetadataNamespaces(untyped=reads),
            receiving_namespaces=MetadataOptionsMetadataNamespaces(untyped=writes) if writes else None,
        ),
    )
