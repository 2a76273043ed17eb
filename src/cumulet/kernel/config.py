"""Settings: one TOML file, then `CUMULET_*` in the environment, then flags. Each has a type, a default and a sentence."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import tomllib
import typing as t
from pathlib import Path

import msgspec

from . import config_images
from .config_images import doc
from .config_imports import ImageImport

USER_ID_MAX = 2**31 - 1
"""The kernel has more, but not every program can count so far."""


class ConfigError(Exception):
    """A setting that cannot be used; the text names it, its file or variable, and what it takes."""


class SecurityCompliance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked of users' passwords and of who logs in. The names are upstream's; nothing is asked unless it is set."""

    lockout_failure_attempts: t.Annotated[int, doc("Wrong passwords in a row after which a user is locked out; 0: any number.", ge=0)] = 0
    lockout_duration: t.Annotated[int, doc("Seconds for which they are.", ge=1)] = 1800
    disable_user_account_days_inactive: t.Annotated[
        int, doc("Days without a login by password after which a user is disabled, until an administrator enables them; 0: any.", ge=0)
    ] = 0
    password_expires_days: t.Annotated[int, doc("Days after which a password set from now on has to be changed; 0: never.", ge=0)] = 0
    change_password_upon_first_use: t.Annotated[
        bool, doc("Whether a password that an administrator set is good for nothing but choosing another.")
    ] = False
    unique_last_password_count: t.Annotated[int, doc("How many of their last passwords users may not choose again.", ge=0)] = 0
    minimum_password_age: t.Annotated[int, doc("Days for which users keep a password that they chose.", ge=0)] = 0
    password_regex: t.Annotated[str, doc("Python's regular expression that passwords match from their beginning; empty: any do.")] = ""
    password_regex_description: t.Annotated[str, doc("What users are told who choose another, without a full stop.")] = ""

    def __post_init__(self) -> None:
        try:
            re.compile(self.password_regex)
        except re.error as error:
            raise ValueError(f"password_regex is no regular expression: {error}") from None


class OpenIdProvider(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An OpenID provider whose word on who somebody is counts, and what this cloud is to it."""

    identity_provider: t.Annotated[str, doc("Id of the identity provider.", min_length=1)]
    protocol: t.Annotated[str, doc("Id of its protocol.", min_length=1)] = "openid"
    issuer: t.Annotated[
        str,
        doc("Its issuer URL, below which `/.well-known/openid-configuration` is; https, save on this machine.",
            pattern=r"^(https://[^/?#@]+|http://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?)(/[^?#]*)?$"),
    ]  # fmt: skip
    client_id: t.Annotated[str, doc("What this cloud is called there.", min_length=1)]
    client_secret_file: t.Annotated[
        str, doc("File, readable by nobody else (0600), with this cloud's secret there; empty: it has none. Relative to `data`.")
    ] = ""
    audiences: t.Annotated[list[str], doc("Whom else tokens may be meant for that clients bring, beside `client_id`.")] = []
    scopes: t.Annotated[str, doc("What is asked for when somebody logs in with a browser.")] = "openid email profile"


class SamlProvider(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An identity provider that speaks SAML 2.0."""

    identity_provider: t.Annotated[str, doc("Id of the identity provider.", min_length=1)]
    protocol: t.Annotated[str, doc("Id of its protocol.", min_length=1)] = "saml2"
    metadata: t.Annotated[str, doc("File with its SAML metadata, which the control process can read. Relative to `data`.", min_length=1)]
    sha1: t.Annotated[bool, doc("Whether its signatures with SHA-1 are taken: OpenStack's own identity service has no other.")] = False


class Federation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose word on who somebody is counts, and who is told of it."""

    trusted_dashboards: t.Annotated[
        list[str], doc("URLs of dashboards to which a browser may bring a token, as https://HOST/auth/websso/.")
    ] = []
    openid: t.Annotated[list[OpenIdProvider], doc("Tables, one an OpenID provider, as federation.md tells them.")] = []
    saml: t.Annotated[list[SamlProvider], doc("Tables, one an identity provider that speaks SAML, as federation.md tells them.")] = []

    def openid_of(self, identity_provider: str, protocol: str) -> OpenIdProvider | None:
        return next((one for one in self.openid if (one.identity_provider, one.protocol) == (identity_provider, protocol)), None)

    def saml_of(self, identity_provider: str, protocol: str) -> SamlProvider | None:
        return next((one for one in self.saml if (one.identity_provider, one.protocol) == (identity_provider, protocol)), None)


class Config(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Every setting of a cloud."""

    data: t.Annotated[str, doc("Directory of everything this cloud keeps.")] = "/var/lib/cumulet"
    listen: t.Annotated[str, doc("HOST:PORT of the APIs.", pattern=r".+:\d+$")] = "127.0.0.1:5000"
    api_processes: t.Annotated[int, doc("Processes that answer the APIs; 0: one a processor, four at most.", ge=0, le=64)] = 0
    public_url: t.Annotated[str, doc("The URL by which clients reach the APIs; empty: http:// and `listen`.")] = ""
    database: t.Annotated[str, doc("SQLAlchemy URL of the database; empty: SQLite in the data directory.")] = ""
    bus: t.Annotated[str, doc("amqp:// URL of the message server; empty: local sockets.")] = ""
    audit: t.Annotated[
        t.Literal["off", "log", "bus"],
        doc("Where events go that tell who did what (CADF): nowhere; control/audit.log; notifications on the message server."),
    ] = "off"
    region: t.Annotated[str, doc("Name of the region in the catalog.")] = "RegionOne"
    log_level: t.Annotated[t.Literal["debug", "info", "warning", "error"], doc("The least important log lines to keep.")] = "info"
    hypervisor: t.Annotated[t.Literal["qemu", "simulated"], doc("What runs guests.")] = "qemu"
    accelerator: t.Annotated[t.Literal["auto", "kvm", "tcg"], doc("How QEMU runs guests; auto: KVM where a probe guest boots on it.")] = (
        "auto"
    )
    network: t.Annotated[t.Literal["linux", "simulated"], doc("What makes networks.")] = "linux"
    hosts: t.Annotated[int, doc("Number of simulated compute hosts.", ge=1, le=100_000)] = 1
    simulated: t.Annotated[
        dict[str, dict[str, t.Any]], doc("How slow and how faulty simulated hosts are: recipes, as simulated.md tells them.")
    ] = {}
    user: t.Annotated[str, doc("System user that whatever faces the network runs as, where the cloud is started by root.")] = "cumulet"
    guest_uids: t.Annotated[
        str,
        doc("User ids FIRST-LAST that guests' processes run as, each its own; nobody else on a host may have them.",
            pattern=r"^[1-9]\d{0,9}-[1-9]\d{0,9}$"),
    ] = "2100000000-2109999999"  # fmt: skip
    public_network: t.Annotated[str, doc("CIDR of the external network; empty: the first free one of 172.24.4.0/24 and on.")] = ""
    public_uplink: t.Annotated[str, doc("Interface to join to the external network; empty: this machine only.")] = ""
    tunnel_address: t.Annotated[str, doc("This host's address for VXLAN; empty: no tunnels (one host).")] = ""
    trusted_proxies: t.Annotated[
        str, doc("Addresses and CIDRs, with commas between them, of proxies that are believed whom they let in; empty: nobody is.")
    ] = ""
    token_hours: t.Annotated[float, doc("Hours that a token lasts.", gt=0)] = 12
    token_provider: t.Annotated[
        t.Literal["fernet", "jws"],
        doc("What new tokens are; fernet: sealed; jws: signed, so that others can check them. Both kinds are taken, whatever this says."),
    ] = "fernet"
    security_compliance: t.Annotated[SecurityCompliance, doc("A table: what is asked of users' passwords and of who logs in.")] = (
        SecurityCompliance()
    )
    federation: t.Annotated[Federation, doc("A table: identity providers and dashboards.")] = Federation()
    bcrypt_rounds: t.Annotated[int, doc("Work factor of password hashes (power of two).", ge=4, le=18)] = 12
    limit_model: t.Annotated[
        t.Literal["flat", "strict_two_level"],
        doc("How limits of projects and domains go together; strict_two_level: a project has no more than its domain."),
    ] = "flat"
    cpu_ratio: t.Annotated[float, doc("Virtual processors offered for each real one.", gt=0)] = 16.0
    memory_ratio: t.Annotated[float, doc("Guest memory offered for each unit of real memory.", gt=0)] = 1.5
    disk_ratio: t.Annotated[float, doc("Guest disk offered for each unit of real disk.", gt=0)] = 1.0
    reserved_memory_mib: t.Annotated[int, doc("Memory kept for the host itself, MiB.", ge=0)] = 512
    image_size_max_gib: t.Annotated[int, doc("Largest image that may be uploaded, GiB.", ge=1)] = 1024
    image_stores: t.Annotated[
        list[config_images.StoreTable],
        doc("Tables, one a store, as images.md tells them; none: one of type file, called `file`, in the directory `images`."),
    ] = []
    show_multiple_locations: t.Annotated[
        bool, doc("Whether images have `locations`, which tell where their data is, and which their owners may change.")
    ] = False
    show_image_direct_url: t.Annotated[bool, doc("Whether images have a `direct_url`, which tells where their data is.")] = False
    image_property_protections: t.Annotated[
        str, doc("File that says who may do what with which properties of images, as image-rules.md tells. Relative to `data`.")
    ] = ""
    image_import: t.Annotated[ImageImport, doc("A table: how images are imported, and whence.")] = ImageImport()
    image_cache_gib: t.Annotated[
        float, doc("GiB that a host's image cache may have, beyond which go images that no server's disk stands on; 0: any.", ge=0)
    ] = 20
    image_cache_days: t.Annotated[
        float, doc("Days after which an image goes from a host's cache that was not used and no disk stands on; 0: never.", ge=0)
    ] = 7
    image_clones: t.Annotated[
        config_images.ImageClones, doc("A table: how a host gets at images in Ceph without fetching them, as images.md tells it.")
    ] = config_images.ImageClones()
    console_minutes: t.Annotated[float, doc("Minutes that a console's one-time token is good for.", gt=0)] = 10
    stop_grace_seconds: t.Annotated[float, doc("Seconds a guest has to shut down before its power is cut.", ge=0)] = 60
    page_limit: t.Annotated[int, doc("Most items in one page of a list.", ge=1)] = 1000

    def __post_init__(self) -> None:
        if self.audit == "bus" and not self.bus:
            raise ValueError("audit is bus, and there is no message server: set bus too, or make audit log")
        config_images.checked(self.image_stores)
        if not self.guest_range or self.guest_range[-1] > USER_ID_MAX:
            raise ValueError(f"guest_uids {self.guest_uids}: FIRST is to be the lower one, LAST {USER_ID_MAX} at most")
        try:
            self.trusts("127.0.0.1")
        except ValueError as error:
            raise ValueError(f"trusted_proxies: {error}") from None

    @property
    def root(self) -> Path:
        return Path(self.data)

    @property
    def image_directories(self) -> dict[str, Path]:
        """Where the file stores that the settings name are, by the stores' ids."""
        return {table.id: self.root / table.directory for table in self.image_stores if isinstance(table, config_images.FileTable)}

    @property
    def guest_range(self) -> range:
        first, _, last = self.guest_uids.partition("-")
        return range(int(first), int(last) + 1)

    def trusts(self, peer: str) -> bool:
        """Whether whoever is connected from this address is a proxy that is believed."""
        networks = [ipaddress.ip_network(one.strip()) for one in self.trusted_proxies.split(",") if one.strip()]
        address = ipaddress.ip_address(peer)
        plain = getattr(address, "ipv4_mapped", None) or address
        return any(plain in network for network in networks)

    @property
    def api_process_count(self) -> int:
        return self.api_processes or min(4, len(os.sched_getaffinity(0)))

    @property
    def url(self) -> str:
        return (self.public_url or f"http://{self.listen}").rstrip("/")

    @property
    def database_url(self) -> str:
        return self.database or f"sqlite:///{self.root / 'control' / 'cumulet.db'}"


def load(path: Path | None = None, environment: t.Mapping[str, str] = os.environ, **flags: t.Any) -> Config:
    """The settings in force. Raises ConfigError."""
    values: dict[str, t.Any] = {}
    if path is not None and path.exists():
        try:
            values = tomllib.loads(path.read_text())
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"{path}: {error}") from None
        _convert(values, str(path))
    for field in Config.__struct_fields__:
        if (text := environment.get(f"CUMULET_{field.upper()}")) is not None:
            values[field] = _told(field, text)
            _convert({field: values[field]}, f"CUMULET_{field.upper()}")
    values |= {name: value for name, value in flags.items() if value is not None}
    return _convert(values, "the command line")


def _told(field: str, text: str) -> t.Any:
    """A setting as the environment has it: a table is JSON there."""
    if not isinstance(getattr(Config(), field), dict | list | msgspec.Struct):
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise ConfigError(f"CUMULET_{field.upper()}: {error}: a table is written as JSON here") from None


def _convert(values: dict[str, t.Any], source: str) -> Config:
    try:
        return msgspec.convert(values, Config, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{source}: {error}") from None


def reference() -> str:
    """Every setting as a Markdown table; those in a table of settings have its name before theirs."""
    return "\n".join(["| setting | default | what it is for |", "| --- | --- | --- |", *_lines(Config, "")]) + "\n"


def _lines(table: type[msgspec.Struct], prefix: str) -> t.Iterator[str]:
    hints = t.get_type_hints(table, include_extras=True)
    for field in msgspec.structs.fields(table):
        kind, *metas = t.get_args(hints[field.name])
        description = next(meta.description for meta in metas if isinstance(meta, msgspec.Meta))
        inner = t.get_args(kind)[0] if t.get_origin(kind) is list else kind
        tables = [one for one in (t.get_args(inner) or (inner,)) if isinstance(one, type) and issubclass(one, msgspec.Struct)]
        yield f"| `{prefix}{field.name}` | {'' if tables else _default(field)} | {description} |"
        for table_of in tables:
            kind_of = f"[type={table_of.__struct_config__.tag}]" if len(tables) > 1 else "[]" if inner is not kind else ""
            yield from _lines(table_of, f"{prefix}{field.name}{kind_of}.")


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    value = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
    return f"`{value!r}`"
