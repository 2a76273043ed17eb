"""Volumes: block storage that outlives servers. Cinder's API, version 3, microversions 3.0 to 3.71.

Other services use what is named below; the functions that take a transaction are called inside theirs.
"""

from ..kernel.exports import lazily

__getattr__ = lazily(
    __name__,
    service="api ADMIN ANYBODY MEMBER READER",
    lookup="find",
    hosts="host_event",
    snapshots="take_snapshot",
    uses="attach begin_detaching connect create delete detach drop_snapshot reserve roll_detaching snapshot_state state",
    workflows__extend="on_extended",
)
