"""What servers once had in this API and what answers with 410 since: Xen's text consoles, nova-network's interfaces."""

from __future__ import annotations

from .. import api
from ..gone import gone

REMOVED = {
    "/servers/{id}/consoles": "GET POST",
    "/servers/{id}/consoles/{console}": "GET DELETE",
    "/servers/{id}/os-virtual-interfaces": "GET",
}

for _path, _methods in REMOVED.items():
    for _method in _methods.split():
        api.op(_method, _path, policy=None, write=False, errors=(410,))(gone)
