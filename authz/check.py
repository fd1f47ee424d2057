"""The decision on one request's caller. Pure but for what `find` does: headers and path in, a verdict out."""

import re
from collections.abc import Callable, Mapping
from urllib.parse import unquote

from msgspec.structs import replace

from authz.caller import CALLING_ROLES, Known
from authz.keys import bearer_token
from authz.person import Person
from authz.refusal import MISSING, OTHER_ENDPOINT, OTHER_ROLE, OTHER_TENANT, Refusal, invalid
from authz.token_refusals import refused
from headgate.contract import TENANT_HEADER
from headgate.endpoints import ADMIN, ALWAYS, USAGE, endpoint_of

# Whose a credential is, or why it can't be used.
Find = Callable[[str], Known | str]
# Whose the certificate is that was shown, or why it can't be used; None where none was, or nobody's.
Client = Known | str | None

_TENANT_PATH = re.compile(r"/tenants/([^/?]*)(?:[/?]|$)")


def check(find: Find, headers: Mapping[str, str], path: str, client: Client = None) -> Known | Refusal:
    """Who asks for something of a model's, or why it may not. Header names are lower case."""
    known = identified(find, headers, client)
    named = _named_tenants(headers, path)
    if isinstance(known, Person):
        known = known.acting(named)
    if isinstance(known, Refusal):
        return known
    caller = known.caller
    if caller.role not in CALLING_ROLES:
        return OTHER_ROLE
    if any(one != caller.tenant for one in named) or not _fits(client, {caller.tenant}):
        return OTHER_TENANT
    if caller.endpoints is not None and endpoint_of(path) not in (*caller.endpoints, ALWAYS):
        return OTHER_ENDPOINT
    return known


def check_admin(find: Find, headers: Mapping[str, str], client: Client = None) -> Known | Refusal:
    """Who asks the admin API, or why it may not. What a role may do there, control decides."""
    known = identified(find, headers, client)
    if isinstance(known, Refusal):
        return known
    caller = known.caller
    if caller.endpoints is not None and ADMIN not in caller.endpoints:
        return OTHER_ENDPOINT
    return known if _fits(client, {caller.tenant, *caller.memberships}) else OTHER_TENANT


def check_usage(find: Find, headers: Mapping[str, str], path: str, client: Client = None) -> Known | Refusal:
    """Who asks what is used, or why it may not: any role, of the tenant that the request names.

    A platform admin reads what is named as its least role, and sees everybody where no tenant is named.
    """
    known = identified(find, headers, client)
    named = _named_tenants(headers, path)
    if isinstance(known, Refusal):
        return known
    if known.caller.role == "admin" and known.caller.tenant is None:
        return _of_platform(known, named, client)
    if isinstance(known, Person):
        known = known.acting(named)
    if isinstance(known, Refusal):
        return known
    caller = known.caller
    if any(one != caller.tenant for one in named) or not _fits(client, {caller.tenant}):
        return OTHER_TENANT
    return known if caller.endpoints is None or USAGE in caller.endpoints else OTHER_ENDPOINT


def _of_platform(known: Known, named: list[str], client: Client) -> Known | Refusal:
    caller = known.caller
    if any(not one or one != named[0] for one in named) or not _fits(client, {caller.tenant, *caller.memberships}):
        return OTHER_TENANT
    if caller.endpoints is not None and USAGE not in caller.endpoints:
        return OTHER_ENDPOINT
    return Known(replace(caller, tenant=named[0], role="read-only", memberships={})) if named else known


def identified(find: Find, headers: Mapping[str, str], client: Client) -> Known | Refusal:
    """Whose credential the request has; without one, whose certificate."""
    credentials = credentials_of(headers)
    if isinstance(client, str):
        return refused(client)
    if not credentials:
        if client and headers.get("upgrade"):  # the requests that are made of it have no certificate
            return refused("certificate_alone")
        return client or MISSING
    first = credentials[0]
    # Two credentials that differ: whichever one we chose, another hop might choose the other.
    if any(credential != first for credential in credentials[1:]):
        return invalid("conflicting_keys")
    found = find(first)
    return refused(found) if isinstance(found, str) else found


def _fits(client: Client, tenants: set[str | None]) -> bool:
    """Whether a certificate, if a known one was shown, is of the same tenant as the credential beside it."""
    return not isinstance(client, Known) or client.caller.tenant in tenants


def credentials_of(headers: Mapping[str, str]) -> list[str]:
    """Everything that claims to be a credential; a malformed one is "" and will not be found."""
    found = [headers[name].strip() for name in ("api-key", "x-api-key") if name in headers]
    if "authorization" in headers:
        found.insert(0, bearer_token(headers["authorization"]))
    return found


def _named_tenants(headers: Mapping[str, str], path: str) -> list[str]:
    named = [headers[TENANT_HEADER]] if TENANT_HEADER in headers else []
    match = _TENANT_PATH.match(path)
    if match:
        named.append(unquote(match[1]))
    return named
