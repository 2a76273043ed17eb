"""The shape of EC2's instance metadata: versions, identifiers and the text of its directories.

Source: the OpenStack metadata service's documentation (versions 2012-08-10 on) and EC2's.
"""

from __future__ import annotations

import hashlib
import typing as t

OPENSTACK_VERSIONS = (
    "2012-08-10", "2013-04-04", "2013-10-17", "2015-10-15", "2016-06-30", "2016-10-06", "2017-02-22", "2018-08-27", "2020-10-14",
)  # fmt: skip
EC2_VERSIONS = ("1.0", "2007-01-19", "2007-03-01", "2007-08-29", "2007-10-10", "2007-12-15", "2008-02-01", "2008-09-01", "2009-04-04")

PASSWORD_MAX = 1020
"""Characters of a password that a guest may post: four chunks of 255, as the compute API's metadata had them."""


def ec2_id(prefix: str, id: str) -> str:
    """A stable EC2 identifier of an OpenStack one."""
    return f"{prefix}-{hashlib.sha256(id.encode()).hexdigest()[:8]}"


def ec2_listing(found: t.Any) -> str:
    """A value's text; of a directory its names, directories among them with a slash. A key is listed as `0=name`."""
    if not isinstance(found, dict):
        return str(found)
    names = []
    for name, value in sorted(found.items()):
        if name.startswith("_"):
            continue
        key_name = value.get("_name") if isinstance(value, dict) else None
        names.append(f"{name}={key_name}" if key_name else f"{name}/" if isinstance(value, dict) else name)
    return "\n".join(names)
