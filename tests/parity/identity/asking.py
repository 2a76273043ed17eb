"""Requests whose bodies or headers have to be computed: forms, signatures of EC2 and S3, OAuth 1.0a."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
import typing as t
from urllib.parse import quote, urlencode

from parity.play import Asked

Names = dict[str, t.Any]


def form(asked: Asked, names: Names) -> Asked:
    """Send the body as a form, not as JSON."""
    asked["content"] = urlencode(asked.pop("json")).encode()
    asked["headers"]["Content-Type"] = "application/x-www-form-urlencoded"
    return asked


def ec2_v2(asked: Asked, names: Names) -> Asked:
    """Sign a request by EC2's signature version 2."""
    params = {"SignatureVersion": "2", "SignatureMethod": "HmacSHA256", "AWSAccessKeyId": names["access"], "Timestamp": _stamp("%FT%TZ")}
    text = "GET\nbar:80\n/\n" + "&".join(f"{quote(key, safe='')}={quote(params[key], safe='-_~')}" for key in sorted(params))
    signature = base64.b64encode(hmac.digest(names["ec2_secret"].encode(), text.encode(), "sha256")).decode()
    asked["json"]["credentials"] |= {"host": "bar:80", "verb": "GET", "path": "/", "params": params, "signature": signature}
    return asked


def ec2_v4(asked: Asked, names: Names) -> Asked:
    """Sign a request by AWS' signature version 4."""
    now, day, empty = _stamp("%Y%m%dT%H%M%SZ"), _stamp("%Y%m%d"), hashlib.sha256(b"").hexdigest()
    place = f"{day}/RegionOne/ec2/aws4_request"
    canonical = f"GET\n/\n\nhost:bar\nx-amz-date:{now}\n\nhost;x-amz-date\n{empty}"
    text = f"AWS4-HMAC-SHA256\n{now}\n{place}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{names['ec2_secret']}".encode()
    for part in place.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.new(key, text.encode(), "sha256").hexdigest()
    authorization = f"AWS4-HMAC-SHA256 Credential={names['access']}/{place}, SignedHeaders=host;x-amz-date, Signature={signature}"
    headers = {"host": "bar", "x-amz-date": now, "Authorization": authorization}
    asked["json"]["credentials"] |= {
        "host": "bar", "verb": "GET", "path": "/", "params": {}, "headers": headers, "body_hash": empty, "signature": signature,
    }  # fmt: skip
    return asked


def s3(asked: Asked, names: Names) -> Asked:
    """Sign a string as S3's first signature version does."""
    text = b"GET\n\n\n\n/bucket"
    signature = base64.b64encode(hmac.digest(names["ec2_secret"].encode(), text, "sha1")).decode()
    asked["json"]["credentials"] |= {"token": base64.urlsafe_b64encode(text).decode(), "signature": signature}
    return asked


def oauth_request(asked: Asked, names: Names) -> Asked:
    return _oauth(asked, names, "", oauth_callback="oob")


def oauth_access(asked: Asked, names: Names) -> Asked:
    return _oauth(
        asked, names, names.get("asked_secret", ""), oauth_token=names.get("asked_key", ""), oauth_verifier=names.get("verifier", "")
    )


def oauth_access_wrong(asked: Asked, names: Names) -> Asked:
    return _oauth(asked, names, names.get("asked_secret", ""), oauth_token=names.get("asked_key", ""), oauth_verifier="wrngABCD")


def oauth_access_malformed(asked: Asked, names: Names) -> Asked:
    return _oauth(asked, names, names.get("asked_secret", ""), oauth_token=names.get("asked_key", ""), oauth_verifier="?")


def oauth_login(asked: Asked, names: Names) -> Asked:
    return _oauth(asked, names, names.get("held_secret", ""), oauth_token=names.get("held_key", ""))


def _oauth(asked: Asked, names: Names, secret: str, **more: str) -> Asked:
    """Sign a request by OAuth 1.0a, RFC 5849, with HMAC-SHA1."""
    params = {
        "oauth_consumer_key": names["consumer"], "oauth_nonce": secrets.token_hex(8), "oauth_timestamp": str(int(time.time())),
        "oauth_signature_method": "HMAC-SHA1", "oauth_version": "1.0", **more,
    }  # fmt: skip
    pairs = "&".join(f"{_quoted(key)}={_quoted(params[key])}" for key in sorted(params))
    text = "&".join(map(_quoted, (asked["method"], names["url"] + asked["path"], pairs)))
    key = f"{_quoted(names['consumer_secret'])}&{_quoted(secret)}"
    params["oauth_signature"] = base64.b64encode(hmac.digest(key.encode(), text.encode(), "sha1")).decode()
    asked["headers"]["Authorization"] = "OAuth " + ", ".join(f'{key}="{_quoted(value)}"' for key, value in params.items())
    return asked


def _quoted(text: str) -> str:
    return quote(text, safe="-._~")


def _stamp(form: str) -> str:
    return time.strftime(form, time.gmtime())
