"""Signed images: what is kept, and what is refused with nothing of it kept."""

from __future__ import annotations

import base64
import datetime as dt
import functools
import typing as t
import uuid
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, padding, rsa

from world import RAW, World

DATA = bytes(range(256)) * 4000
OCTETS = {"Content-Type": "application/octet-stream"}
NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)
HASHES = {"SHA-224": hashes.SHA224(), "SHA-256": hashes.SHA256(), "SHA-384": hashes.SHA384(), "SHA-512": hashes.SHA512()}
KINDS = ("RSA-PSS", "DSA", "ECC_SECP384R1", "ECC_SECP521R1")


@functools.cache
def key(kind: str, whose: str = "signer"):
    """Somebody's key."""
    if kind == "RSA-PSS":
        return rsa.generate_private_key(65537, 2048)
    if kind == "DSA":
        return _parameters().generate_private_key()
    return ec.generate_private_key(ec.SECP384R1() if kind == "ECC_SECP384R1" else ec.SECP521R1())


@functools.cache
def _parameters() -> dsa.DSAParameters:
    return dsa.generate_parameters(1024)


def certify(root: Path, key: t.Any, *, begins: dt.datetime = NOW - DAY, ends: dt.datetime = NOW + DAY) -> str:
    """The UUID of a new certificate among the cloud's."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "signer")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = builder.serial_number(1).not_valid_before(begins).not_valid_after(ends).sign(key, hashes.SHA256())
    directory, id = root / "image-certificates", str(uuid.uuid4())
    directory.mkdir(exist_ok=True)
    (directory / f"{id}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return id


def sign(key: t.Any, data: bytes, method: str) -> str:
    algorithm = HASHES[method]
    if isinstance(key, rsa.RSAPrivateKey):
        made = key.sign(data, padding.PSS(padding.MGF1(algorithm), padding.PSS.MAX_LENGTH), algorithm)
    elif isinstance(key, dsa.DSAPrivateKey):
        made = key.sign(data, algorithm)
    else:
        made = key.sign(data, ec.ECDSA(algorithm))
    return base64.b64encode(made).decode()


def signed(certificate: str, kind: str = "RSA-PSS", method: str = "SHA-256", data: bytes = DATA) -> dict[str, str]:
    return {"img_signature": sign(key(kind), data, method), "img_signature_hash_method": method, "img_signature_key_type": kind,
            "img_signature_certificate_uuid": certificate}  # fmt: skip


def create(who, properties: dict[str, str]) -> str:
    answer = who.post("/images", {"name": "i", "disk_format": "raw", "container_format": "bare", **properties})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def upload(who, id: str, data: bytes = DATA):
    return who("PUT", f"/images/{id}/file", content=data, headers=OCTETS)


def refused(cloud, who, id: str, why: str, data: bytes = DATA) -> None:
    answer = upload(who, id, data)
    assert answer.status_code == 400 and f"Signature verification failed for image {id}: {why}" in answer.text, answer.text
    assert who.get(f"/images/{id}").json()["status"] == "queued" and who.get(f"/images/{id}").json()["size"] is None
    assert not [path for path in (cloud.runtime.config.root / "images").rglob("*") if path.is_file()]


@pytest.mark.parametrize("method", HASHES)
@pytest.mark.parametrize("kind", KINDS)
def test_what_was_signed_is_kept_and_nothing_else(cloud, me, tmp_path, kind, method):
    certificate = certify(tmp_path, key(kind))
    id = create(me, signed(certificate, kind, method))
    refused(cloud, me, id, "Signature verification failed", DATA[:-1] + b"x")
    refused(cloud, me, id, "Signature verification failed", DATA[:-1])
    assert upload(me, id).status_code == 204
    shown = me.get(f"/images/{id}").json()
    assert shown["status"] == "active" and shown["img_signature_certificate_uuid"] == certificate
    assert me.get(f"/images/{id}/file").content == DATA


@pytest.mark.parametrize(("change", "why"), [
    ({"img_signature_hash_method": "MD5"}, "Invalid signature hash method: MD5."),
    ({"img_signature_key_type": "RSA"}, "Invalid signature key type: RSA."),
    ({"img_signature_key_type": "ECC_SECP384R1"}, "Invalid public key type for signature key type: ECC_SECP384R1."),
    ({"img_signature": "abc"}, "The signature data was not properly encoded using base64."),
    ({"img_signature": "ä"}, "The signature data was not properly encoded using base64."),
    ({"img_signature": ""}, "Error occurred while creating the verifier."),
    ({"img_signature_certificate_uuid": "../clouds"}, "Certificate not found with ID: ../clouds."),
    ({"img_signature_certificate_uuid": "5f0e8a1c-7a3d-4d7e-8f53-0a2a7e3a6b3c"},
     "Certificate not found with ID: 5f0e8a1c-7a3d-4d7e-8f53-0a2a7e3a6b3c."),
])  # fmt: skip
def test_a_signature_that_cannot_be_checked(cloud, me, tmp_path, change, why):
    id = create(me, signed(certify(tmp_path, key("RSA-PSS"))) | change)
    refused(cloud, me, id, f"Signature verification for the image failed: {why}")


@pytest.mark.parametrize("when", [{"ends": NOW - dt.timedelta(hours=1)}, {"begins": NOW + dt.timedelta(hours=1)}])
def test_a_certificate_that_is_not_valid_now(cloud, me, tmp_path, when):
    id = create(me, signed(certify(tmp_path, key("RSA-PSS"), **when)))
    refused(cloud, me, id, "Signature verification for the image failed: The certificate is outside its valid date range.")


def test_a_file_that_is_no_certificate(cloud, me, tmp_path):
    certificate = certify(tmp_path, key("RSA-PSS"))
    (tmp_path / "image-certificates" / f"{certificate}.pem").write_text("-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n")
    id = create(me, signed(certificate))
    refused(cloud, me, id, f"Signature verification for the image failed: Unable to retrieve certificate with ID: {certificate}.")


@pytest.mark.parametrize("kind", ["RSA-PSS", "DSA", "ECC_SECP384R1"])
def test_a_signature_of_somebody_else(cloud, me, tmp_path, kind):
    id = create(me, signed(certify(tmp_path, key(kind, "somebody else")), kind))
    refused(cloud, me, id, "Signature verification failed")


def test_an_image_without_all_four_properties_is_not_a_signed_one(me, tmp_path):
    properties = signed(certify(tmp_path, key("RSA-PSS")))
    for name in properties:
        assert upload(me, create(me, {other: value for other, value in properties.items() if other != name}), b"other").status_code == 204


def test_what_is_known_of_an_encrypted_image_is_kept(me):
    known = {"os_encrypt_format": "LUKSv1", "os_encrypt_key_id": str(uuid.uuid4()), "os_encrypt_key_deletion_policy": "do_not_delete",
             "os_decrypt_container_format": "bare", "os_decrypt_size": "1073741824", "cinder_encryption_key_id": str(uuid.uuid4()),
             "cinder_encryption_key_deletion_policy": "on_image_deletion"}  # fmt: skip
    shown = me.get(f"/images/{create(me, known)}").json()
    assert {name: shown[name] for name in known} == known


def test_an_image_made_of_a_volume_does_not_take_a_signature_over(database_url, tmp_path):
    world = World(database_url, str(tmp_path))
    try:
        certificate = certify(tmp_path, key("RSA-PSS"))
        volume = world.volume(imageRef=world.image(**signed(certificate, data=RAW), os_type="linux"))
        answer = world.caller("/volume/v3").post(f"/volumes/{volume}/action", {"os-volume_upload_image": {"image_name": "n"}})
        assert answer.status_code == 202, answer.text
        world.settle()
        made = world.caller("/image/v2").get(f"/images/{answer.json()['os-volume_upload_image']['image_id']}").json()
        assert made["status"] == "active" and made["os_type"] == "linux" and not [name for name in made if name.startswith("img_")]
    finally:
        world.close()
