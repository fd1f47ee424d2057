"""Files of the folder `secrets`, which the supervisor writes for Envoy: the key of a provider's cluster, which
envoy/module/attempt.c reads, and a provider's certificates, which come by SDS. The engines' part reads them, too.
"""

from headgate.contract import cluster_name


def key_file(cluster: str) -> str:
    """The file of a key; no provider, and no key, has a colon in its name."""
    return f"{plain_name(cluster).replace('/', ':')}.key"


def provider_ca_name(cluster: str) -> str:
    """The SDS name of the CAs that a provider cluster's certificates are verified with."""
    return f"{plain_name(cluster)}.ca"


def provider_pair_name(cluster: str) -> str:
    """The SDS name of the certificate that is shown to a provider cluster."""
    return f"{plain_name(cluster)}.client"


def secret_file(name: str) -> str:
    """The file of an SDS name."""
    return f"{name}.json"


def plain_name(cluster: str) -> str:
    """A provider cluster's name without what all of them begin with."""
    return cluster.removeprefix(cluster_name(""))
