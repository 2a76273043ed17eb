"""Compute: servers and what they are made of. Nova's API, microversions 2.1 to 2.104."""

from ..kernel.exports import lazily

__getattr__ = lazily(
    __name__,
    service="api ADMIN ANY PROJECT_MEMBER PROJECT_READER",
    events="host_event",
    flavors="add_flavor",
    quota_limits="lift_limits",
)
