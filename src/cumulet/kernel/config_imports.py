"""Settings of image import: which methods there are, whence images may be fetched, and what is done to them on the way."""

from __future__ import annotations

import ipaddress
import typing as t

import msgspec

from .config_images import doc

Method = t.Literal["glance-direct", "web-download", "copy-image", "glance-download"]
Plugin = t.Literal["image_decompression", "image_conversion", "inject_image_metadata"]
Port = t.Annotated[int, msgspec.Meta(ge=1, le=65535)]


def _like(values: t.Iterable[t.Any]) -> t.Any:
    """A list of its own for each table: of these values where the settings do not say others."""
    return msgspec.field(default_factory=lambda: list(values))


class ImageImport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Image import. Where a list of what is allowed has entries, the one of what is not counts for nothing, as upstream."""

    methods: t.Annotated[list[Method], doc("Ways in which images can be imported.")] = _like(t.get_args(Method))
    plugins: t.Annotated[
        list[Plugin], doc("What is done to images that are imported; always in the order decompress, convert, inject.")
    ] = []
    allowed_schemes: t.Annotated[list[t.Literal["http", "https"]], doc("Schemes of URLs to fetch images from.")] = _like(["http", "https"])
    disallowed_schemes: t.Annotated[list[str], doc("Schemes that are refused.")] = []
    allowed_hosts: t.Annotated[list[str], doc("Hosts, by the names or addresses in URLs, to fetch images from; none: any.")] = []
    disallowed_hosts: t.Annotated[list[str], doc("Hosts that are refused.")] = []
    allowed_ports: t.Annotated[list[Port], doc("Ports to fetch images from; none: any.")] = _like([80, 443])
    disallowed_ports: t.Annotated[list[Port], doc("Ports that are refused.")] = []
    allowed_networks: t.Annotated[
        list[str],
        doc("CIDRs of addresses that images may be fetched from, though they are private, this machine's, or otherwise no public ones."),
    ] = []
    stall_seconds: t.Annotated[float, doc("Seconds after which a download ends that hardly moves (64 KiB).", gt=0)] = 60
    output_format: t.Annotated[t.Literal["qcow2", "raw", "vmdk"], doc("What image_conversion makes of disk images.")] = "raw"
    inject: t.Annotated[dict[str, str], doc("Properties that inject_image_metadata gives to images.")] = {}
    ignore_user_roles: t.Annotated[list[str], doc("Roles whose holders' images it gives none.")] = _like(["admin"])
    copied_properties: t.Annotated[list[str], doc("Beginnings of the names of properties that glance-download brings along.")] = _like(
        ["hw_", "trait:", "os_distro", "os_secure_boot", "os_type"]
    )
    task_hours: t.Annotated[float, doc("Hours for which tasks that have ended are kept.", gt=0)] = 48

    def __post_init__(self) -> None:
        for cidr in self.allowed_networks:
            try:
                ipaddress.ip_network(cidr)
            except ValueError as error:
                raise ValueError(f"image_import.allowed_networks: {error}") from None
