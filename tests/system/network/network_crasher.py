"""A driver that builds and unbuilds a network without end, to be killed.

network_crasher.py DIRECTORY TAG
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from pathlib import Path

from network_scene import PUBLIC
from test_healing import NOTHING, WHOLE

from cumulet.network.drivers.base import HostNetwork
from cumulet.network.drivers.linux.driver import LinuxDriver


async def main(directory: str, tag: str) -> None:
    kept = {}
    driver = LinuxDriver(
        Path(directory),
        tag,
        public=PUBLIC,
        on_metadata_socket=kept.__setitem__,
        on_metadata_gone=lambda network: kept.pop(network).close(),
    )
    await driver.open()
    print("applying", flush=True)
    for generation, wanted in enumerate(itertools.cycle((WHOLE, NOTHING)), 1):
        await driver.apply(
            HostNetwork(
                host="",
                generation=generation,
                networks=wanted.networks,
                ports=wanted.ports,
                groups=wanted.groups,
                routers=wanted.routers,
            )
        )


asyncio.run(main(*sys.argv[1:]))
