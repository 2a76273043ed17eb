from __future__ import annotations

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE1VxWzQ0Hq0"


def test_microversions_shape_request_and_answer(me):
    old = me.post("/os-keypairs", {"keypair": {"name": "k", "public_key": KEY}})
    assert old.status_code == 200 and "type" not in old.json()["keypair"]
    refused = me.post("/os-keypairs", {"keypair": {"name": "k2", "public_key": KEY, "type": "ssh"}})
    assert refused.status_code == 400 and "type" in refused.json()["badRequest"]["message"]
    new = me.post("/os-keypairs", {"keypair": {"name": "k2", "public_key": KEY, "type": "ssh"}}, version="compute 2.2")
    assert new.status_code == 201 and new.json()["keypair"]["type"] == "ssh"
    assert new.headers["openstack-api-version"] == "compute 2.2"


def test_a_name_is_taken_once(me):
    me.post("/os-keypairs", {"keypair": {"name": "k", "public_key": KEY}})
    again = me.post("/os-keypairs", {"keypair": {"name": "k", "public_key": KEY}})
    assert again.status_code == 409 and again.json()["conflictingRequest"]["message"] == "Key pair 'k' already exists."


def test_generated_pair_ends_with_2_92(me):
    made = me.post("/os-keypairs", {"keypair": {"name": "k"}}).json()["keypair"]
    assert "RSA PRIVATE KEY" in made["private_key"]
    assert me.post("/os-keypairs", {"keypair": {"name": "l"}}, version="compute 2.92").status_code == 400


def test_list_pages_by_name(me):
    for name in "cab":
        me.post("/os-keypairs", {"keypair": {"name": name, "public_key": KEY}})
    page = me.get("/os-keypairs?limit=2", version="compute 2.35").json()
    assert [k["keypair"]["name"] for k in page["keypairs"]] == ["a", "b"]
    assert "marker=b" in page["keypairs_links"][0]["href"]
    rest = me.get("/os-keypairs?marker=b", version="compute 2.35").json()["keypairs"]
    assert [k["keypair"]["name"] for k in rest] == ["c"]


def test_only_ones_own(cloud, me):
    me.post("/os-keypairs", {"keypair": {"name": "k", "public_key": KEY}})
    other = cloud.caller("/compute/v2.1", user="u2")
    assert other.get("/os-keypairs/k").status_code == 404
    assert other.get("/os-keypairs?user_id=u1", version="compute 2.10").status_code == 403
    assert me.delete("/os-keypairs/k").status_code == 202 and me.get("/os-keypairs/k").status_code == 404


def test_repeated_post_with_one_key_happens_once(me):
    body = {"keypair": {"name": "k", "public_key": KEY}}
    first = me.post("/os-keypairs", body, headers={"Idempotency-Key": "x"})
    again = me.post("/os-keypairs", body, headers={"Idempotency-Key": "x"})
    assert first.status_code == again.status_code == 200 and first.content == again.content
    assert me.post("/os-keypairs", {"keypair": {"name": "l", "public_key": KEY}}, headers={"Idempotency-Key": "x"}).status_code == 400


def test_faults(cloud, me):
    assert cloud.stranger("/compute/v2.1").get("/os-keypairs").status_code == 401
    assert me.get("/os-keypairs", version="compute 2.999").status_code == 406
    assert me.put("/os-keypairs").status_code == 405
    assert me.get("/nothing").status_code == 404
    assert me("POST", "/os-keypairs", content=b"{").status_code == 400
    assert me("POST", "/os-keypairs", content=b" " * (1 << 21)).status_code == 413
