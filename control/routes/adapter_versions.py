"""`/tenants/{tenant}/adapters/{adapter}/versions`: how versions come, with their files, and go."""

from starlette.responses import Response

from control.adapters.arriving import announced_bytes, arrived
from control.adapters.registering import check_before, register, unregister
from control.adapters.room import allowed
from control.adapters.shown import Version, version_shown
from control.adapters.told import About
from control.call import Called, nothing, shown
from control.routes.adapter_shapes import PATH, NumberInPath
from control.routing import Routes

routes = Routes("adapters")
_VERSIONS = f"{PATH}/{{adapter}}/versions"


@routes.serve("POST", _VERSIONS, "adapters.write", Version, status=201, uploads=True)
async def push_version(call: Called, tenant: str, adapter: str, about: About) -> Response:
    """adapter_config.json on one line, and behind it the bytes of the safetensors file."""
    await check_before(call, tenant, adapter, announced_bytes(call.request))
    async with arrived(call.request, allowed(call.declared.adapters), call.tools.state) as files:
        made = await register(call, tenant, adapter, files, about)
    place = f"/admin/v1/tenants/{tenant}/adapters/{adapter}"
    return shown(version_shown(made), made.version, status=201, location=place).response()


@routes.serve("DELETE", f"{_VERSIONS}/{{version}}", "adapters.write", None, status=204, waits=True)
async def delete_one_version(call: Called, tenant: str, adapter: str, version: NumberInPath) -> Response:
    """With its files. 409 while it is live."""
    await unregister(call, tenant, adapter, version)
    return nothing().response()
