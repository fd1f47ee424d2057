"""Requests that Envoy signs for AWS (Signature Version 4): the filter of such a provider's cluster.

The last to see a request, since the whole body counts. Only what no one on the way changes is signed. The path is
signed as it is sent, each of its parts encoded once more, as AWS wants it of every service but S3.
"""

from envoy_data_plane.envoy.config.core.v3 import DataSource, WatchedDirectory
from envoy_data_plane.envoy.extensions.common.aws.v3 import (
    AwsCredentialProvider,
    CredentialsFileCredentialProvider,
)
from envoy_data_plane.envoy.extensions.filters.http.aws_request_signing.v3 import AwsRequestSigning
from envoy_data_plane.envoy.type.matcher.v3 import StringMatcher

from headgate.config.model import Provider
from headgate.contract import SECRETS
from headgate.edge.secrets import AWS_PROFILE, aws_file

_SERVICE = "bedrock"


def request_signing(cluster: str, provider: Provider) -> AwsRequestSigning:
    """With the key that gateway.yaml names, or else with what Envoy finds where AWS's own tools look."""
    return AwsRequestSigning(
        service_name=_SERVICE,
        region=provider.region or "",
        match_included_headers=[StringMatcher(exact="content-type")],  # host and x-amz-* always are
        credential_provider=_from_file(aws_file(cluster)) if provider.aws else None,
    )


def _from_file(name: str) -> AwsCredentialProvider:
    """The file is read anew when it has been replaced."""
    source = DataSource(filename=str(SECRETS / name), watched_directory=WatchedDirectory(path=str(SECRETS)))
    return AwsCredentialProvider(
        credentials_file_provider=CredentialsFileCredentialProvider(
            credentials_data_source=source, profile=AWS_PROFILE
        ),
        custom_credential_provider_chain=True,  # and no other place
    )
