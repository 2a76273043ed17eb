"""Images: what servers and volumes start from. Glance's API, version 2.

Other services use what is named below; the functions that take a transaction are called inside theirs.
"""

from ..kernel.exports import lazily

__getattr__ = lazily(
    __name__,
    service="api",
    images="ImageFacts abandon find reserve",
    data="add_file adopt incoming",
    property_rules="RulesError",
    protections="Guard guard in_force",
    cache__bring="bring have origin source",
    cache__hosts="host_event",
    cache__wishes="precache",
    metadefs__files="exported_namespaces load_namespace parse_namespace unload_namespace",
)
