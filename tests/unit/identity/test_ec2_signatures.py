"""Signatures of EC2 and S3 against those that others made: AWS's own examples, and the client library that services use."""

from __future__ import annotations

import datetime as dt
import hashlib

import pytest

from cumulet.identity.ec2_signatures import BadSignature, Signed, ec2, s3
from cumulet.kernel import clock

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
NOTHING = hashlib.sha256(b"").hexdigest()
HEADER = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature=x"
VANILLA = Signed(
    "GET", "example.amazonaws.com", "/", {},
    {"host": "example.amazonaws.com", "x-amz-date": "20150830T123600Z", "authorization": HEADER}, NOTHING,
)  # fmt: skip
"""`get-vanilla` of AWS's test suite for version 4."""
QUERY = Signed(
    "GET", "example.amazonaws.com", "/",
    {"Param1": "value 2~*", "a/b": "c", "X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Date": "20150830T123600Z", "X-Amz-SignedHeaders": "host",
     "X-Amz-Credential": "AKIDEXAMPLE/20150830/us-east-1/service/aws4_request"},
    {"host": "example.amazonaws.com"}, "UNSIGNED-PAYLOAD",
)  # fmt: skip
OLDER = Signed(
    "GET", "elasticmapreduce.amazonaws.com", "/",
    {"AWSAccessKeyId": "AKIAIOSFODNN7EXAMPLE", "Action": "DescribeJobFlows", "SignatureVersion": "2", "Timestamp": "2011-10-03T15:19:30",
     "Version": "2009-03-31"}, {}, "",
)  # fmt: skip


@pytest.fixture
def at(monkeypatch):
    def to(moment: dt.datetime) -> None:
        monkeypatch.setattr(clock, "now", lambda: moment)

    return to


def test_version_4(at):
    at(dt.datetime(2015, 8, 30, 12, 40))
    assert ec2(VANILLA, SECRET) == ["5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"]
    assert ec2(QUERY, SECRET) == ["5c45c567cd722ca3183414e6d3a394d08a4f64d86d36ad6ca83415bebb6093a7"]


def test_version_2(at):
    at(dt.datetime(2011, 10, 3, 15, 20))
    assert ec2(OLDER, SECRET) == ["DFzsYSvzqGPi+wbelC66PJKUsunGAko6IVm1dQu4DFg="]
    assert ec2(OLDER._replace(host="elasticmapreduce.amazonaws.com:8773"), SECRET)[1] == "DFzsYSvzqGPi+wbelC66PJKUsunGAko6IVm1dQu4DFg="


@pytest.mark.parametrize("change", [
    {"verb": "POST"}, {"host": "other"}, {"path": "/x"}, {"params": VANILLA.params | {"x": "y"}}, {"body_hash": "0" * 64},
    {"headers": VANILLA.headers | {"host": "other"}}, {"headers": VANILLA.headers | {"x-amz-date": "20150830T123601Z"}},
    {"headers": VANILLA.headers | {"authorization": HEADER.replace("us-east-1", "us-east-2")}},
    {"headers": VANILLA.headers | {"authorization": HEADER.replace("host;x-amz-date", "host")}},
])  # fmt: skip
def test_another_request_has_another_signature(at, change: dict):
    """The host counts by its header, which is signed."""
    at(dt.datetime(2015, 8, 30, 12, 40))
    if "host" not in change:
        assert ec2(VANILLA._replace(**change), SECRET) != ec2(VANILLA, SECRET)
    at(dt.datetime(2011, 10, 3, 15, 20))
    if "headers" not in change and "body_hash" not in change:
        assert ec2(
            OLDER._replace(**{key: OLDER.params | value if key == "params" else value for key, value in change.items()}), SECRET
        ) != ec2(OLDER, SECRET)


@pytest.mark.parametrize("moment", [
    dt.datetime(2015, 8, 30, 12, 51, 1), dt.datetime(2015, 8, 30, 12, 20, 59), dt.datetime(2026, 1, 1), dt.datetime(2000, 1, 1),
])  # fmt: skip
def test_a_signature_of_another_time_is_none(at, moment: dt.datetime):
    at(moment)
    for request in (VANILLA, QUERY, OLDER):
        with pytest.raises(BadSignature):
            ec2(request, SECRET)


@pytest.mark.parametrize("request_", [
    OLDER._replace(params=OLDER.params | {"SignatureVersion": version}) for version in ("0", "1", "3", "4", "")
] + [
    OLDER._replace(params={name: value for name, value in OLDER.params.items() if name != "Timestamp"}),
    OLDER._replace(params=OLDER.params | {"Timestamp": "yesterday"}), Signed("", "", "", {}, {}, ""),
    *(VANILLA._replace(headers=VANILLA.headers | {"authorization": text}) for text in (
        "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 Credential=", HEADER.replace("host;", ""), HEADER.replace("/aws4_request", ""),
        HEADER.replace("20150830", "20150831"), HEADER.replace("SignedHeaders", "Signed"), "Bearer x")),
    VANILLA._replace(headers={"authorization": HEADER}), VANILLA._replace(headers=VANILLA.headers | {"x-amz-date": "20150830T9"}),
], ids=str)  # fmt: skip
def test_what_is_not_signed_in_a_way_that_is_known(at, request_: Signed):
    at(dt.datetime(2015, 8, 30, 12, 40))
    with pytest.raises(BadSignature):
        ec2(request_, SECRET)


def test_s3():
    scope = "20150830/us-east-1/s3/aws4_request"
    text = f"AWS4-HMAC-SHA256\n20150830T123600Z\n{scope}\n{NOTHING}"
    assert s3(text.encode(), SECRET) != s3(text.replace("3600Z", "3601Z").encode(), SECRET)
    assert s3(b"GET\n\n\nWed\n/bucket", SECRET) != s3(b"PUT\n\n\nWed\n/bucket", SECRET)
    for bad in (
        text + "\n",
        text.replace("s3", "ec2"),
        text.replace("aws4_request", "x"),
        "AWS4",
        "AWS4-HMAC-SHA256\n\n\n",
        text.replace("/", "."),
    ):
        with pytest.raises(BadSignature):
            s3(bad.encode(), SECRET)
