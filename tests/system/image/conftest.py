from __future__ import annotations

from ceph_server import readable_ceph, running_ceph  # noqa: F401
