"""The QEMU driver: guests by QMP, with nothing in between."""

from cumulet.compute.drivers.qemu.driver import QemuDriver

__all__ = ["QemuDriver"]
