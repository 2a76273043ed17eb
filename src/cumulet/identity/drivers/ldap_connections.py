"""Connections to an LDAP server: kept for the next search, checked for TLS, bounded in time."""

# pyright: reportAttributeAccessIssue=false
# python-ldap makes its names at run time.

from __future__ import annotations

import contextlib
import threading
import time
import typing as t

import ldap
from ldap.controls import SimplePagedResultsControl
from ldap.ldapobject import LDAPObject

from .base import DirectoryError
from .ldap_options import LdapOptions

CONNECT, ANSWER = 3, 5
"""Seconds for which a server may keep us waiting for a connection, and for an answer (a page of one)."""
DEREFERENCE = {"never": ldap.DEREF_NEVER, "searching": ldap.DEREF_SEARCHING, "finding": ldap.DEREF_FINDING, "always": ldap.DEREF_ALWAYS}
CERTIFICATE = {"demand": ldap.OPT_X_TLS_DEMAND, "never": ldap.OPT_X_TLS_NEVER, "allow": ldap.OPT_X_TLS_ALLOW}
LOST = (ldap.SERVER_DOWN, ldap.CONNECT_ERROR, ldap.UNAVAILABLE, ldap.BUSY)

Found = list[tuple[str, dict[str, list[bytes]]]]


class Connections:
    """The connections of one directory. Calls are made from several threads; a connection is used by one at a time."""

    def __init__(self, options: LdapOptions):
        self._options = options
        self._uris = " ".join(options.url.replace(",", " ").split())
        self._idle: list[tuple[float, LDAPObject]] = []
        self._lock = threading.Lock()
        if options.use_tls and self._secure:
            raise DirectoryError("use_tls is for ldap:// alone: ldaps:// is encrypted from the start")

    def search(self, base: str, scope: int, filter: str, attributes: list[str]) -> Found:
        """The entries that a filter finds, without referrals. A base that is not there has none."""
        with self._errors():
            try:
                return self._with_connection(lambda at: self._search(at, base, scope, filter, attributes))
            except ldap.NO_SUCH_OBJECT:
                return []

    def binds(self, dn: str, password: str) -> bool:
        """Whether a simple bind with a password succeeds. An empty one would be let in as nobody (RFC 4513, 5.1.2): it is refused
        before anyone is asked."""
        if not dn or not password:
            return False
        with self._errors():
            connection = self._retried(self._connected)
            try:
                connection.simple_bind_s(dn, password)
            except (ldap.INVALID_CREDENTIALS, ldap.NO_SUCH_OBJECT, ldap.INVALID_DN_SYNTAX, ldap.INAPPROPRIATE_AUTH,
                    ldap.UNWILLING_TO_PERFORM, ldap.CONSTRAINT_VIOLATION):  # fmt: skip
                return False
            finally:
                _end(connection)
        return True

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for _, connection in idle:
            _end(connection)

    # -- searching ---------------------------------------------------------------------------------------------------

    def _search(self, at: LDAPObject, base: str, scope: int, filter: str, attributes: list[str]) -> Found:
        size, found = self._options.page_size, []
        page = SimplePagedResultsControl(criticality=True, size=size, cookie="")
        while True:
            sent = at.search_ext(base, scope, filter, attributes, serverctrls=[page] if size else None, timeout=ANSWER)
            _, entries, _, controls = t.cast(t.Any, at.result3(sent, timeout=ANSWER))
            found += [(dn, values) for dn, values in entries if dn is not None]
            page.cookie = next((c.cookie for c in controls or [] if c.controlType == page.controlType), "")
            if not page.cookie:
                return found

    # -- connections -------------------------------------------------------------------------------------------------

    def _with_connection(self, use: t.Callable[[LDAPObject], Found]) -> Found:
        """A connection that was kept may have been closed at the other end since: then a new one is made."""
        while (kept := self._kept()) is not None:
            since, connection = kept
            try:
                return self._used(since, connection, use)
            except LOST:
                continue
        return self._used(time.monotonic(), self._retried(self._bound), use)

    def _used(self, since: float, connection: LDAPObject, use: t.Callable[[LDAPObject], Found]) -> Found:
        try:
            found = use(connection)
        except ldap.NO_SUCH_OBJECT:
            self._keep(since, connection)
            raise
        except BaseException:
            _end(connection)
            raise
        self._keep(since, connection)
        return found

    def _kept(self) -> tuple[float, LDAPObject] | None:
        oldest = time.monotonic() - self._options.pool_connection_lifetime
        with self._lock:
            old = [one for one in self._idle if one[0] <= oldest]
            self._idle = [one for one in self._idle if one[0] > oldest]
            kept = self._idle.pop() if self._idle else None
        for _, connection in old:
            _end(connection)
        return kept

    def _keep(self, since: float, connection: LDAPObject) -> None:
        with self._lock:
            if self._options.use_pool and len(self._idle) < self._options.pool_size:
                self._idle.append((since, connection))
                return
        _end(connection)

    def _retried(self, connect: t.Callable[[], LDAPObject]) -> LDAPObject:
        """A new connection, tried for as often as the options say, and no longer than one may take."""
        ends = time.monotonic() + self._patience
        for left in reversed(range(self._options.pool_retry_max)):
            try:
                return connect()
            except LOST:
                if not left or time.monotonic() + self._options.pool_retry_delay > ends:
                    raise
                time.sleep(self._options.pool_retry_delay)
        raise AssertionError("there is at least one attempt")

    def _bound(self) -> LDAPObject:
        connection, options = self._connected(), self._options
        try:
            if options.user and options.password:
                connection.simple_bind_s(options.user, options.password)
        except BaseException:
            _end(connection)
            raise
        return connection

    def _connected(self) -> LDAPObject:
        """A connection that is encrypted, where it is to be, before anything is sent on it."""
        options = self._options
        connection = ldap.initialize(self._uris, bytes_mode=False)
        connection.protocol_version = ldap.VERSION3
        connection.set_option(ldap.OPT_NETWORK_TIMEOUT, self._patience)
        connection.set_option(ldap.OPT_TIMEOUT, ANSWER)
        if options.alias_dereferencing != "default":
            connection.set_option(ldap.OPT_DEREF, DEREFERENCE[options.alias_dereferencing])
        if options.chase_referrals is not None:
            connection.set_option(ldap.OPT_REFERRALS, int(options.chase_referrals))
        if options.use_tls or self._secure:
            self._trust(connection)
        if options.use_tls:
            connection.start_tls_s()
        return connection

    def _trust(self, connection: LDAPObject) -> None:
        options = self._options
        if options.tls_cacertfile:
            connection.set_option(ldap.OPT_X_TLS_CACERTFILE, options.tls_cacertfile)
        elif options.tls_cacertdir:
            connection.set_option(ldap.OPT_X_TLS_CACERTDIR, options.tls_cacertdir)
        connection.set_option(ldap.OPT_X_TLS_REQUIRE_CERT, CERTIFICATE[options.tls_req_cert])
        connection.set_option(ldap.OPT_X_TLS_NEWCTX, 0)

    @property
    def _patience(self) -> float:
        told = self._options.pool_connection_timeout
        return min(CONNECT, told) if told > 0 else CONNECT

    @property
    def _secure(self) -> bool:
        return self._uris.lower().startswith("ldaps")

    @contextlib.contextmanager
    def _errors(self) -> t.Iterator[None]:
        """What goes wrong, in words for the operator. What the server says may name entries, and no passwords."""
        try:
            yield
        except ldap.INVALID_CREDENTIALS:
            raise DirectoryError(f"{self._uris} does not take the user and password of the configuration") from None
        except ldap.SIZELIMIT_EXCEEDED:
            raise DirectoryError(f"{self._uris} has more entries than it answers with at once: set page_size", away=False) from None
        except (ldap.LDAPError, ValueError, OSError) as error:
            raise DirectoryError(f"{self._uris}: {_told(error)}") from None


def _end(connection: LDAPObject) -> None:
    with contextlib.suppress(ldap.LDAPError):
        connection.unbind_s()


def _told(error: Exception) -> str:
    """What libldap says: a description, and what the system or the server added to it."""
    said = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
    return ": ".join(str(said[key]) for key in ("desc", "info") if said.get(key)) or type(error).__name__
