"""What the setting `security_compliance` asks of users: when they are locked out or idle for too long, when they have to choose
another password, and which. An administrator may exempt a user by options."""

from __future__ import annotations

import datetime as dt
import re

from ..kernel import clock
from ..kernel.config import SecurityCompliance
from ..kernel.db import Row
from ..kernel.errors import BadRequest, Unauthorized


def locked(user: Row, rules: SecurityCompliance) -> bool:
    """Whether a user failed to log in so often, and so lately, that they may not try now."""
    if not lockable(user, rules) or user.failed_auth_count < rules.lockout_failure_attempts:
        return False
    return user.failed_auth_at + dt.timedelta(seconds=rules.lockout_duration) > clock.now()


def lockable(user: Row, rules: SecurityCompliance) -> bool:
    """Whether the failures of a user are counted."""
    return bool(rules.lockout_failure_attempts) and not user.options.get("ignore_lockout_failure_attempts")


def idle(user: Row, rules: SecurityCompliance) -> bool:
    """Whether a user has not logged in with their password for so long that they are disabled. A directory has rules of its own."""
    if not rules.disable_user_account_days_inactive or user.local_id is not None or user.options.get("ignore_user_inactivity"):
        return False
    last = user.last_active_on or user.created_at.date()
    return (clock.now().date() - last).days >= rules.disable_user_account_days_inactive


def refuse_expired(user: Row) -> None:
    """Raise Unauthorized where a user has to choose another password first."""
    ends = user.password_expires_at
    if ends is not None and ends <= clock.now() and not user.options.get("ignore_password_expiry"):
        raise Unauthorized(f"The password is expired and needs to be changed for user: {user.id}.")


def expiry(options: dict, rules: SecurityCompliance, *, own: bool) -> dt.datetime | None:
    """When a new password expires. own: whether it is its user's own choice; another may be good for its change alone."""
    now = clock.now()
    if not own and rules.change_password_upon_first_use and not options.get("ignore_change_password_upon_first_use"):
        return now
    if not rules.password_expires_days or options.get("ignore_password_expiry"):
        return None
    return (now + dt.timedelta(days=rules.password_expires_days)).replace(microsecond=0)


def check_strength(password: str | None, rules: SecurityCompliance) -> None:
    """Raise BadRequest, in the operator's words, for a password that is not as they want it."""
    if not rules.password_regex:
        return
    if password is None:
        raise BadRequest("Password validation error: Password must be a string type.")
    if not re.match(rules.password_regex, password):
        raise BadRequest(f"The password does not match the requirements: {rules.password_regex_description}.")


def check_may_change(user: Row, rules: SecurityCompliance) -> None:
    """Raise BadRequest where a user may not choose another password, or not yet."""
    if user.options.get("lock_password"):
        raise BadRequest(
            "You cannot change your password at this time due to password policy disallowing password changes. "
            "Please contact your administrator to reset your password."
        )
    if user.password_chosen_at is None:
        return
    left = user.password_chosen_at + dt.timedelta(days=rules.minimum_password_age) - clock.now()
    if left > dt.timedelta():
        raise BadRequest(
            "You cannot change your password at this time due to the minimum password age. Once you change your password, it must be "
            f"used for {rules.minimum_password_age} day(s) before it can be changed. Please try again in {left.days} day(s) or contact "
            "your administrator to reset your password."
        )
