"""Bodies that work, by the path that takes them with POST: what a fuzzer starts from where a schema says little.

A text like `@networks` stands for the id of one that is there. A PUT or PATCH of a thing takes a part of what made it.
"""

from __future__ import annotations

import typing as t

NET, IMG, CMP, VOL, IDN, PLC = "/network/v2.0", "/image/v2", "/compute/v2.1", "/volume/v3/{project_id}", "/identity/v3", "/placement"

FIRST: dict[str, t.Any] = {
    f"{IDN}/domains": {"domain": {"name": "#", "enabled": True, "description": "d"}},
    f"{IDN}/projects": {"project": {"name": "#", "domain_id": "default", "enabled": True, "tags": ["t"], "is_domain": False, "mine": 1}},
    f"{IDN}/users": {"user": {"name": "#", "domain_id": "default", "default_project_id": "@projects", "password": "pw", "enabled": True,
                              "email": "a@b", "options": {"ignore_password_expiry": True}}},
    f"{IDN}/groups": {"group": {"name": "#", "domain_id": "default", "description": "g"}},
    f"{IDN}/roles": {"role": {"name": "#", "description": "r", "domain_id": None, "options": {"immutable": False}}},
    f"{IDN}/regions": {"region": {"id": "#", "description": "r"}},
    f"{IDN}/services": {"service": {"type": "t", "name": "#", "enabled": True, "description": "s"}},
    f"{IDN}/endpoints": {"endpoint": {"service_id": "@services", "interface": "public", "url": "http://a/$(project_id)s", "region_id": "@regions",
                                      "enabled": True}},
    f"{IDN}/credentials": {"credential": {"type": "cert", "blob": "{}", "user_id": "@users", "project_id": "@projects"}},
    f"{IDN}/policies": {"policy": {"type": "application/json", "blob": "{}"}},
    f"{IDN}/OS-EP-FILTER/endpoint_groups": {"endpoint_group": {"name": "#", "description": "e", "filters": {"interface": "public"}}},
    f"{IDN}/OS-TRUST/trusts": {"trust": {"trustor_user_id": "@me", "trustee_user_id": "@users", "project_id": "@mine", "impersonation": True,
                                         "roles": [{"name": "member"}], "expires_at": "2030-01-01T00:00:00.000000Z", "remaining_uses": 3}},
    f"{IDN}/OS-OAUTH1/consumers": {"consumer": {"description": "c"}},
    f"{IDN}/users/{{user_id}}/application_credentials": {"application_credential": {
        "name": "#", "secret": "s", "description": "a", "expires_at": "2030-01-01T00:00:00", "roles": [{"name": "member"}], "unrestricted": False,
        "access_rules": [{"path": "/v2.1/servers", "method": "GET", "service": "compute"}]}},
    f"{IDN}/users/{{user_id}}/credentials/OS-EC2": {"tenant_id": "@mine"},
    f"{IDN}/users/{{user_id}}/password": {"user": {"password": "a", "original_password": "a"}},
    f"{IDN}/auth/tokens": {"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": "admin", "domain": {"id": "default"}, "password": "a"}}},
                                    "scope": {"project": {"name": "admin", "domain": {"id": "default"}}}}},
    f"{IMG}/images": {"name": "i", "disk_format": "raw", "container_format": "bare", "visibility": "shared", "min_disk": 1, "min_ram": 1,
                      "protected": False, "tags": ["t"], "hw_property": "x"},
    f"{IMG}/images/{{id}}/members": {"member": "@projects"},
    f"{NET}/networks": {"network": {"name": "n", "admin_state_up": True, "shared": False, "mtu": 1400, "description": "d", "port_security_enabled": True}},
    f"{NET}/subnetpools": {"subnetpool": {"name": "p", "prefixes": ["10.8.0.0/16"], "default_prefixlen": 24, "min_prefixlen": 20, "max_prefixlen": 30}},
    f"{NET}/address-scopes": {"address_scope": {"name": "a", "ip_version": 4, "shared": False}},
    f"{NET}/subnets": {"subnet": {"network_id": "@networks", "cidr": "10.@.0.0/24", "ip_version": 4, "gateway_ip": "10.@.0.1", "enable_dhcp": True,
                                  "dns_nameservers": ["1.1.1.1"], "allocation_pools": [{"start": "10.@.0.10", "end": "10.@.0.90"}],
                                  "host_routes": [{"destination": "1.0.0.0/8", "nexthop": "10.@.0.9"}]}},
    f"{NET}/security-groups": {"security_group": {"name": "s", "description": "d"}},
    f"{NET}/ports": {"port": {"network_id": "@networks", "name": "p", "fixed_ips": [{"subnet_id": "@subnets"}], "security_groups": ["@security-groups"],
                              "allowed_address_pairs": [{"ip_address": "10.9.0.0/24"}], "extra_dhcp_opts": [{"opt_name": "a", "opt_value": "b"}],
                              "mac_address": "fa:16:3e:00:00:01", "binding:vnic_type": "normal", "device_owner": "compute:x", "device_id": "d"}},
    f"{NET}/routers": {"router": {"name": "r", "admin_state_up": True, "external_gateway_info": {"network_id": "@external"}}},
    f"{NET}/floatingips": {"floatingip": {"floating_network_id": "@external", "description": "f"}},
    f"{NET}/security-group-rules": {"security_group_rule": {"security_group_id": "@security-groups", "direction": "ingress", "protocol": "tcp",
                                                            "port_range_min": 22, "port_range_max": 23, "remote_ip_prefix": "0.0.0.0/0",
                                                            "ethertype": "IPv4"}},
    f"{PLC}/resource_providers": {"name": "#"},
    f"{CMP}/os-keypairs": {"keypair": {"name": "#", "type": "ssh", "public_key": "ssh-ed25519 AAAA"}},
    f"{CMP}/flavors": {"flavor": {"name": "#", "ram": 512, "vcpus": 1, "disk": 1, "swap": 0, "os-flavor-access:is_public": True}},
    f"{CMP}/os-aggregates": {"aggregate": {"name": "#", "availability_zone": None}},
    f"{CMP}/os-server-groups": {"server_group": {"name": "g", "policy": "anti-affinity", "rules": {"max_server_per_host": 2}}},
    f"{CMP}/servers": {"server": {"name": "s", "flavorRef": "1", "imageRef": "@images", "networks": [{"uuid": "@networks"}],
                                  "metadata": {"a": "b"}, "tags": ["t"], "user_data": "eA==", "min_count": 1, "max_count": 2,
                                  "security_groups": [{"name": "default"}], "description": "d"}},
    f"{CMP}/servers/{{id}}/action": {"os-stop": None},
    f"{CMP}/servers/{{id}}/os-interface": {"interfaceAttachment": {"net_id": "@networks"}},
    f"{CMP}/servers/{{id}}/os-volume_attachments": {"volumeAttachment": {"volumeId": "@volumes"}},
    f"{CMP}/servers/{{id}}/metadata": {"metadata": {"k": "v"}},
    f"{VOL}/types": {"volume_type": {"name": "#", "extra_specs": {"a": "b"}, "os-volume-type-access:is_public": True}},
    f"{VOL}/volumes": {"volume": {"size": 1, "name": "v", "metadata": {"a": "b"}, "description": "d"}},
    f"{VOL}/snapshots": {"snapshot": {"volume_id": "@volumes", "name": "s", "force": True, "metadata": {}}},
    f"{VOL}/backups": {"backup": {"volume_id": "@volumes", "name": "b", "force": True, "incremental": False}},
    f"{VOL}/attachments": {"attachment": {"instance_uuid": "@servers", "volume_uuid": "@volumes", "connector": {"host": "h", "initiator": "i"}}},
    f"{VOL}/volume-transfers": {"transfer": {"volume_id": "@volumes", "name": "t"}},
    f"{VOL}/os-volume-transfer": {"transfer": {"volume_id": "@volumes", "name": "t"}},
    f"{VOL}/qos-specs": {"qos_specs": {"name": "#", "consumer": "front-end", "x": "y"}},
    f"{VOL}/group_types": {"group_type": {"name": "#", "is_public": True}},
    f"{VOL}/groups": {"group": {"group_type": "@group_types", "volume_types": ["@types"], "name": "g"}},
    f"{VOL}/group_snapshots": {"group_snapshot": {"group_id": "@groups", "name": "g"}},
}  # fmt: skip

OTHERS: dict[tuple[str, str], t.Any] = {
    ("PUT", f"{NET}/routers/{{id}}/add_router_interface"): {"subnet_id": "@subnets"},
    ("PUT", f"{NET}/routers/{{id}}/remove_router_interface"): {"subnet_id": "@subnets"},
    ("PUT", f"{NET}/routers/{{id}}/add_extraroutes"): {"router": {"routes": [{"destination": "1.0.0.0/8", "nexthop": "10.1.0.9"}]}},
    ("PUT", f"{NET}/subnetpools/{{id}}/add_prefixes"): {"prefixes": ["10.7.0.0/16"]},
    ("PUT", f"{NET}/quotas/{{project_id}}"): {"quota": {"network": 500, "port": -1}},
    ("PATCH", f"{IMG}/images/{{id}}"): [{"op": "replace", "path": "/name", "value": "n"}, {"op": "add", "path": "/x", "value": "y"},
                                       {"op": "remove", "path": "/x"}],
    ("PUT", f"{PLC}/resource_providers/{{uuid}}/inventories"): {"resource_provider_generation": 0, "inventories": {"VCPU": {
        "total": 8, "reserved": 1, "min_unit": 1, "max_unit": 8, "step_size": 1, "allocation_ratio": 4.0}}},
    ("PUT", f"{PLC}/allocations/{{consumer}}"): {"allocations": {"@resource_providers": {"resources": {"VCPU": 1}}}, "project_id": "p", "user_id": "u",
                                                "consumer_generation": None, "consumer_type": "INSTANCE"},
    ("POST", f"{CMP}/os-aggregates/{{id}}/action"): {"set_metadata": {"metadata": {"a": "b"}}},
    ("PUT", f"{CMP}/os-quota-sets/{{id}}"): {"quota_set": {"cores": 50, "ram": -1, "force": True}},
    ("PUT", f"{VOL}/os-quota-sets/{{tenant}}"): {"quota_set": {"volumes": 50, "gigabytes": -1}},
    ("POST", f"{VOL}/volumes/{{id}}/action"): {"os-reset_status": {"status": "available"}},
    ("PUT", f"{VOL}/default-types/{{tenant}}"): {"default_type": {"volume_type": "@types"}},
}  # fmt: skip


def like(method: str, path: str) -> t.Any:
    """A body for an operation, or None."""
    if (method, path) in OTHERS:
        return OTHERS[method, path]
    if method == "POST":
        return FIRST.get(path)
    made_by = FIRST.get(path.rpartition("/")[0]) if path.endswith("}") else None
    return made_by if method in ("PUT", "PATCH") else None
