"""PostgreSQL, RabbitMQ and OpenLDAP for the tests: from the system's packages, on ports of their own, gone with the test run."""

from __future__ import annotations

import contextlib
import glob
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
import typing as t
from pathlib import Path

START = 60.0


class EngineError(Exception):
    """An engine did not start; the text says what it said."""


@contextlib.contextmanager
def postgresql() -> t.Iterator[str]:
    """A PostgreSQL server with an empty database; its SQLAlchemy URL."""
    binaries = _newest("/usr/lib/postgresql/*/bin", "postgresql")
    with _directory("postgres") as (root, user):
        data, port = root / "data", free_port()
        _check([binaries / "initdb", "-D", data, "-A", "trust", "-U", "cumulet", "--no-sync", "-E", "UTF8", "--locale=C"], user)
        argv = [binaries / "postgres", "-D", data, "-p", str(port), "-k", root, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off",
                "-c", "full_page_writes=off", "-c", "max_connections=200"]  # fmt: skip
        with _running(argv, root / "log", user, port):
            _until(lambda: _quiet([binaries / "psql", "-h", "127.0.0.1", "-p", str(port), "-U", "cumulet", "-c", "CREATE DATABASE cumulet",
                                   "postgres"], user), "PostgreSQL", root / "log")  # fmt: skip
            yield f"postgresql+psycopg://cumulet@127.0.0.1:{port}/cumulet"


@contextlib.contextmanager
def rabbitmq() -> t.Iterator[str]:
    """A RabbitMQ server with nothing in it; its amqp:// URL."""
    with _directory("rabbitmq") as (root, user):
        port, name = free_port(), f"t{secrets.token_hex(4)}@localhost"
        config = root / "rabbitmq.conf"
        config.write_text(f"listeners.tcp.default = 127.0.0.1:{port}\nmanagement.tcp.port = {free_port()}\n")
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(root), "RABBITMQ_NODENAME": name, "RABBITMQ_MNESIA_BASE": str(root / "db"),
            "RABBITMQ_LOG_BASE": str(root / "logs"), "RABBITMQ_CONFIG_FILE": str(config), "RABBITMQ_PID_FILE": str(root / "pid"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(root / "plugins"), "ERL_EPMD_PORT": str(free_port()), "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_DIST_PORT": str(free_port()), "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }  # fmt: skip
        server = _newest("/usr/lib/rabbitmq/bin", "rabbitmq-server") / "rabbitmq-server"
        with _running([server], root / "log", user, port, environment):
            yield f"amqp://guest:guest@127.0.0.1:{port}/"
        _quiet(["epmd", "-port", environment["ERL_EPMD_PORT"], "-kill"], user)


class Slapd:
    """An OpenLDAP server for one suffix, with these entries (LDIF). It lets everyone check their password, those who are in read
    all but passwords, and gives 500 entries at once at most. certificate: files of certificate and key, for TLS."""

    def __init__(self, root: Path, user: str | None, suffix: str, entries: str, certificate: tuple[Path, Path] | None):
        self.suffix, self.port = suffix, free_port()
        self.url = f"ldap://127.0.0.1:{self.port}"
        self.admin, self.password = f"cn=admin,{suffix}", secrets.token_hex(8)
        self._root, self._user = root, user
        self._running = contextlib.ExitStack()
        (root / "db").mkdir()
        self._write("entries.ldif", entries)
        kept = [Path(shutil.copy(file, root)) for file in certificate or ()]
        self._write("slapd.conf", self._configuration(kept))
        # A copy, for some systems let the program in its own place read nothing but its own files.
        self._program = Path(shutil.copy(_newest("/usr/sbin/slapd", "slapd"), root / "slapd"))
        for path in root.iterdir():
            if user:
                shutil.chown(path, user, pwd.getpwnam(user).pw_gid)
        (root / "slapadd").symlink_to("slapd")
        _check([root / "slapadd", "-q", "-f", root / "slapd.conf", "-l", root / "entries.ldif"], user)

    def start(self) -> None:
        argv = [self._program, "-d", "0", "-h", self.url, "-f", self._root / "slapd.conf"]
        self._process = self._running.enter_context(_running(argv, self._root / "log", self._user, self.port))

    def kill(self) -> None:
        """End it as a power cut does."""
        self._process.kill()
        self._running.close()

    def stop(self) -> None:
        self._running.close()

    def _write(self, name: str, text: str) -> None:
        (self._root / name).touch(0o600)
        (self._root / name).write_text(text)

    def _configuration(self, certificate: list[Path]) -> str:
        schemas = "".join(f"include /etc/ldap/schema/{name}.schema\n" for name in ("core", "cosine", "inetorgperson", "nis"))
        tls = "TLSCertificateFile {}\nTLSCertificateKeyFile {}\n".format(*certificate) if certificate else ""
        # Binding without a password is let in as nobody here, as many servers do: whoever asks has to refuse it.
        return (
            f"{schemas}{tls}modulepath /usr/lib/ldap\nmoduleload back_mdb\nallow bind_anon_cred\n"
            f'database mdb\nsuffix "{self.suffix}"\nrootdn "{self.admin}"\nrootpw {self.password}\ndirectory {self._root}/db\n'
            "dbnosync\nindex objectClass,uid,cn,member,memberUid eq\nsizelimit size.soft=500 size.hard=500 size.prtotal=unlimited\n"
            "access to attrs=userPassword by anonymous auth by * none\naccess to * by users read by * none\n"
        )


@contextlib.contextmanager
def slapd(suffix: str, entries: str, certificate: tuple[Path, Path] | None = None) -> t.Iterator[Slapd]:
    """An OpenLDAP server that runs."""
    with _directory("openldap") as (root, user):
        server = Slapd(root, user, suffix, entries, certificate)
        server.start()
        try:
            yield server
        finally:
            server.stop()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def _directory(user: str) -> t.Iterator[tuple[Path, str | None]]:
    """A directory of the engine's own; where root runs the tests, it and the engine belong to the engine's user."""
    root = Path(tempfile.mkdtemp(prefix=f"cumulet-{user}-"))
    drop = user if os.getuid() == 0 else None
    try:
        if drop:
            shutil.chown(root, drop, pwd.getpwnam(drop).pw_gid)
        yield root, drop
    finally:
        shutil.rmtree(root, ignore_errors=True)


@contextlib.contextmanager
def _running(
    argv: t.Sequence[t.Any], log: Path, user: str | None, port: int, environment: dict[str, str] | None = None
) -> t.Iterator[subprocess.Popen]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(a) for a in argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            start_new_session=True,
            **_as(user),
        )
    try:
        _until(lambda: process.poll() is None and _listens(port), Path(str(argv[0])).name, log, process)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _until(done: t.Callable[[], bool], what: str, log: Path, process: subprocess.Popen | None = None) -> None:
    end = time.monotonic() + START
    while not done():
        if time.monotonic() > end or (process is not None and process.poll() is not None):
            raise EngineError(f"{what} did not start:\n{log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.05)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
        return True
    return False


def _check(argv: t.Sequence[t.Any], user: str | None) -> None:
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, **_as(user))
    if done.returncode:
        raise EngineError(f"{argv[0]}: {done.stderr}")


def _quiet(argv: t.Sequence[t.Any], user: str | None) -> bool:
    return subprocess.run([str(a) for a in argv], capture_output=True, **_as(user)).returncode == 0


def _as(user: str | None) -> dict[str, t.Any]:
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": [], "cwd": "/"} if user else {}


def _newest(pattern: str, package: str) -> Path:
    found = sorted(glob.glob(pattern), key=lambda p: [int(n) for n in p.split("/") if n.isdigit()])
    if not found:
        raise EngineError(f"There is no {pattern}: install the Debian package {package}.")
    return Path(found[-1])
