"""Where Amazon Bedrock is: its runtime has one address for each region. Pure."""

from typing import Any

from headgate.config import values

# https://docs.aws.amazon.com/general/latest/gr/bedrock.html; partitions of AWS's have domains of their own.
_DOMAINS = {"cn-": "amazonaws.com.cn", "eusc-": "amazonaws.eu"}


def root_of(region: Any) -> str | None:
    """The root of a region's runtime; None for what is no region."""
    try:
        name = values.region(region)
    except ValueError:
        return None
    domain = next((domain for prefix, domain in _DOMAINS.items() if name.startswith(prefix)), "amazonaws.com")
    return f"https://bedrock-runtime.{name}.{domain}"
