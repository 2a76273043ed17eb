"""Requests that work: what a fuzzer starts from where a schema says little.

A text like `@networks` stands for the id of one that is there (`@file`: of what has had its file), `{key}` for what the path
has there. A list is a choice.
"""

from __future__ import annotations

import random
import typing as t

NET, IMG, CMP, VOL, IDN, PLC = "/network/v2.0", "/image/v2", "/compute/v2.1", "/volume/v3/{project_id}", "/identity/v3", "/placement"

FIRST: dict[str, t.Any] = {
    f"{IDN}/domains": [{"domain": {"name": "#", "enabled": enabled, "description": "d"}} for enabled in (True, False)],
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
    f"{IDN}/registered_limits": {"registered_limits": [{"service_id": "@services", "resource_name": "r", "default_limit": 10}]},
    f"{IDN}/limits": {"limits": [{"service_id": "@services", "resource_name": "r", "resource_limit": 5, "project_id": "@projects"}]},
    f"{IDN}/OS-OAUTH1/consumers": {"consumer": {"description": "c"}},
    f"{IDN}/users/{{user_id}}/application_credentials": {"application_credential": {
        "name": "#", "secret": "s", "description": "a", "expires_at": "2030-01-01T00:00:00", "roles": [{"name": "member"}], "unrestricted": False,
        "access_rules": [{"path": "/v2.1/servers", "method": "GET", "service": "compute"}]}},
    f"{IDN}/users/{{user_id}}/credentials/OS-EC2": {"tenant_id": "@mine"},
    f"{IDN}/users/{{user_id}}/password": {"user": {"password": "pw", "original_password": "pw"}},
    f"{IDN}/auth/tokens": {"auth": {"identity": {"methods": ["password"], "password": {"user": {"id": "@me", "password": "@password"}}},
                                    "scope": {"project": {"id": "@mine"}}}},
    f"{IMG}/images": {"name": "i", "disk_format": "raw", "container_format": "bare", "visibility": "shared", "min_disk": 1, "min_ram": 1,
                      "protected": False, "tags": ["t"], "hw_property": "x"},
    f"{IMG}/images/{{id}}/members": {"member": "@projects"},
    f"{IMG}/metadefs/namespaces": {
        "namespace": "#", "visibility": "public", "display_name": "n", "description": "d", "protected": False,
        "resource_type_associations": [{"name": "OS::Flavor", "prefix": "hw:"}], "tags": [{"name": "t"}],
        "properties": {"p": {"title": "P", "type": "array", "items": {"type": "string", "enum": ["a"]}, "minItems": 1, "default": "a"}},
        "objects": [{"name": "o", "required": ["p"], "properties": {"p": {"title": "P", "type": "integer", "minimum": 1, "maximum": 2}}}]},
    f"{IMG}/metadefs/namespaces/{{namespace}}/objects": {"name": "#", "properties": {"p": {"title": "P", "type": "string", "pattern": "x"}}},
    f"{IMG}/metadefs/namespaces/{{namespace}}/properties": {"name": "#", "title": "P", "type": "number", "minimum": 1.5, "default": 2},
    f"{IMG}/metadefs/namespaces/{{namespace}}/resource_types": {"name": "#", "prefix": "x:", "properties_target": "image"},
    f"{IMG}/metadefs/namespaces/{{namespace}}/tags": {"tags": [{"name": "#"}]},
    f"{NET}/networks": {"network": {"name": "n", "admin_state_up": True, "shared": False, "mtu": 1400, "description": "d", "port_security_enabled": True}},
    f"{NET}/subnetpools": {"subnetpool": {"name": "p", "prefixes": ["10.8.0.0/16"], "default_prefixlen": 24, "min_prefixlen": 20, "max_prefixlen": 30}},
    f"{NET}/address-scopes": {"address_scope": {"name": "a", "ip_version": 4, "shared": False}},
    f"{NET}/subnets": {"subnet": {"network_id": "@networks", "cidr": "10.@.0.0/24", "ip_version": 4, "gateway_ip": "10.@.0.1", "enable_dhcp": True,
                                  "dns_nameservers": ["1.1.1.1"], "allocation_pools": [{"start": "10.@.0.10", "end": "10.@.0.90"}],
                                  "host_routes": [{"destination": "1.0.0.0/8", "nexthop": "10.@.0.9"}]}},
    f"{NET}/security-groups": {"security_group": {"name": "s", "description": "d"}},
    f"{NET}/ports": [
        {"port": {"network_id": "@networks", "name": "p", "security_groups": ["@security-groups"], "admin_state_up": True, "device_owner": "d",
                  "allowed_address_pairs": [{"ip_address": "10.9.0.0/24"}], "extra_dhcp_opts": [{"opt_name": "a", "opt_value": "b"}]}},
        {"port": {"network_id": "@networks", "fixed_ips": [{"subnet_id": "@subnets"}], "mac_address": "fa:16:3e:00:00:01",
                  "binding:vnic_type": "normal", "device_owner": "compute:x", "device_id": "d"}}],
    f"{NET}/routers": {"router": {"name": "r", "admin_state_up": True, "external_gateway_info": {"network_id": "@external"}}},
    f"{NET}/floatingips": {"floatingip": {"floating_network_id": "@external", "description": "f"}},
    f"{NET}/security-group-rules": {"security_group_rule": {"security_group_id": "@security-groups", "direction": "ingress", "protocol": "tcp",
                                                            "port_range_min": 22, "port_range_max": 23, "remote_ip_prefix": "0.0.0.0/0",
                                                            "ethertype": "IPv4"}},
    f"{PLC}/resource_providers": {"name": "#"},
    f"{CMP}/os-keypairs": {"keypair": {"name": "#", "type": "ssh", "public_key": "ssh-ed25519 AAAA"}},
    f"{CMP}/flavors": [{"flavor": {"name": "#", "ram": 512, "vcpus": 1, "disk": 1, "swap": 0, "os-flavor-access:is_public": public}} for public in (True, False)],
    f"{CMP}/os-aggregates": {"aggregate": {"name": "#", "availability_zone": None}},
    f"{CMP}/os-server-groups": {"server_group": {"name": "g", "policy": "anti-affinity", "rules": {"max_server_per_host": 2}}},
    f"{CMP}/servers": [{"server": {"name": "s", "flavorRef": flavor, "imageRef": "@file", "networks": [{"uuid": "@networks"}], "metadata": {"a": "b"},
                                   "tags": ["t"], "user_data": "eA==", "security_groups": [{"name": "default"}], "description": "d", **more}}
                       for flavor, more in (("1", {}), ("@flavors", {}), ("@flavors", {"min_count": 1, "max_count": 2}))],
    f"{CMP}/servers/{{id}}/os-interface": {"interfaceAttachment": {"net_id": "@networks"}},
    f"{CMP}/servers/{{id}}/os-volume_attachments": {"volumeAttachment": {"volumeId": "@volumes"}},
    f"{CMP}/servers/{{id}}/metadata": {"metadata": {"k": "v"}},
    f"{VOL}/types": [{"volume_type": {"name": "#", "extra_specs": {"x:a": "b"}, "os-volume-type-access:is_public": public}} for public in (True, False)],
    f"{VOL}/group_types": {"group_type": {"name": "#", "is_public": True}},
    f"{VOL}/groups": {"group": {"group_type": "@group_types", "volume_types": ["@types"], "name": "g"}},
    f"{VOL}/volumes": [{"volume": {"size": 1, "name": "v", "metadata": {"a": "b"}, "description": "d"}},
                       {"volume": {"size": 1, "volume_type": "@types", "group_id": "@groups"}}],
    f"{VOL}/snapshots": {"snapshot": {"volume_id": "@volumes", "name": "s", "force": True, "metadata": {}}},
    f"{VOL}/backups": {"backup": {"volume_id": "@volumes", "name": "b", "force": True, "incremental": False}},
    f"{VOL}/attachments": {"attachment": {"instance_uuid": "@servers", "volume_uuid": "@volumes", "connector": {"host": "h", "initiator": "i"}}},
    f"{VOL}/volume-transfers": {"transfer": {"volume_id": "@volumes", "name": "t"}},
    f"{VOL}/os-volume-transfer": {"transfer": {"volume_id": "@volumes", "name": "t"}},
    f"{VOL}/qos-specs": {"qos_specs": {"name": "#", "consumer": "front-end", "x": "y"}},
    f"{VOL}/group_snapshots": {"group_snapshot": {"group_id": "@groups", "name": "g"}},
    f"{NET}/metering/metering-labels": {"metering_label": {"name": "m", "description": "d", "shared": False}},
    f"{NET}/metering/metering-label-rules": {"metering_label_rule": {"metering_label_id": "@metering-labels", "direction": "ingress",
                                                                     "remote_ip_prefix": "10.@.0.0/24"}},
    f"{NET}/rbac-policies": {"rbac_policy": {"object_type": "network", "object_id": "@networks", "action": "access_as_shared", "target_tenant": "@projects"}},
    f"{PLC}/resource_classes": {"name": "CUSTOM_#"},
    f"{CMP}/flavors/{{id}}/os-extra_specs": {"extra_specs": {"hw:cpu_policy": "shared", "a": "b"}},
    f"{CMP}/os-floating-ips": {"pool": "public"},
    f"{CMP}/os-security-groups": {"security_group": {"name": "#", "description": "d"}},
    f"{CMP}/os-security-group-rules": {"security_group_rule": {"parent_group_id": "@os-security-groups", "ip_protocol": "tcp", "from_port": 22,
                                                               "to_port": 22, "cidr": "10.@.0.0/24"}},
    f"{CMP}/os-server-external-events": {"events": [{"name": "network-changed", "server_uuid": "@servers", "tag": "x"}]},
    f"{CMP}/servers/{{id}}/remote-consoles": {"remote_console": {"protocol": "vnc", "type": "novnc"}},
    f"{VOL}/types/{{id}}/encryption": {"encryption": {"provider": "luks", "key_size": 256, "cipher": "aes-xts-plain64", "control_location": "front-end"}},
    f"{VOL}/types/{{id}}/extra_specs": {"extra_specs": {"x:a": "b"}},
    f"{VOL}/group_types/{{id}}/group_specs": {"group_specs": {"a": "b"}},
    f"{VOL}/backups/{{id}}/restore": {"restore": {"volume_id": "@volumes"}},
    f"{VOL}/manageable_volumes": {"volume": {"host": "simulated-0001@cumulet", "ref": {"source-name": "x"}, "name": "m"}},
    f"{VOL}/manageable_snapshots": {"snapshot": {"volume_id": "@volumes", "ref": {"source-name": "x"}, "name": "m"}},
    f"{CMP}/servers/{{id}}/action": [
        *({name: None} for name in ("os-start", "os-stop", "pause", "unpause", "suspend", "resume", "lock", "unlock", "confirmResize", "revertResize",
                                    "shelve", "shelveOffload", "unshelve", "unrescue", "forceDelete", "restore", "migrate", "resetNetwork")),
        {"reboot": {"type": "HARD"}}, {"resize": {"flavorRef": "@flavors"}}, {"rebuild": {"imageRef": "@images"}}, {"rescue": {"adminPass": "p"}},
        {"createImage": {"name": "i", "metadata": {"a": "b"}}}, {"createBackup": {"name": "b", "backup_type": "daily", "rotation": 1}},
        {"os-getConsoleOutput": {"length": 5}}, {"changePassword": {"adminPass": "p"}}, {"addSecurityGroup": {"name": "default"}},
        {"removeSecurityGroup": {"name": "default"}}, {"os-resetState": {"state": "active"}}, {"os-migrateLive": {"host": None, "block_migration": "auto"}},
        {"evacuate": {"host": None}}, {"addFixedIp": {"networkId": "@networks"}}, {"addFloatingIp": {"address": "172.24.4.9"}},
    ],
    f"{CMP}/os-aggregates/{{id}}/action": [
        {"set_metadata": {"metadata": {"a": "b"}}}, {"add_host": {"host": "simulated-0001"}}, {"remove_host": {"host": "simulated-0001"}},
    ],
    f"{CMP}/flavors/{{id}}/action": [{"addTenantAccess": {"tenant": "@projects"}}, {"removeTenantAccess": {"tenant": "@projects"}}],
    f"{VOL}/volumes/{{id}}/action": [
        *({name: None} for name in ("os-reserve", "os-unreserve", "os-begin_detaching", "os-roll_detaching", "os-force_delete",
                                    "os-show_image_metadata", "os-unmanage")),
        {"os-reset_status": {"status": "available"}}, {"os-extend": {"new_size": 2}}, {"os-set_bootable": {"bootable": True}},
        {"os-update_readonly_flag": {"readonly": True}}, {"os-attach": {"instance_uuid": "@servers", "mountpoint": "/dev/vdb"}}, {"os-detach": {}},
        {"os-initialize_connection": {"connector": {"host": "h"}}}, {"os-terminate_connection": {"connector": {"host": "h"}}},
        {"os-retype": {"new_type": "@types", "migration_policy": "never"}}, {"revert": {"snapshot_id": "@snapshots"}},
        {"os-volume_upload_image": {"image_name": "i", "force": True}}, {"os-set_image_metadata": {"metadata": {"a": "b"}}},
        {"os-unset_image_metadata": {"key": "a"}}, {"os-reimage": {"image_id": "@images"}}, {"os-migrate_volume": {"host": "simulated-0002"}},
    ],
    f"{VOL}/snapshots/{{id}}/action": [{"os-reset_status": {"status": "available"}}, {"os-force_delete": None}, {"os-unmanage": None},
                                       {"os-update_snapshot_status": {"status": "available"}}],
    f"{VOL}/backups/{{id}}/action": [{"os-reset_status": {"status": "available"}}, {"os-force_delete": None}],
    f"{VOL}/groups/{{id}}/action": [{"delete": {"delete-volumes": True}}, {"reset_status": {"status": "available"}}],
    f"{VOL}/groups/action": [{"create-from-src": {"name": "g", "source_group_id": "@groups"}},
                             {"create-from-src": {"name": "g", "group_snapshot_id": "@group_snapshots"}}],
    f"{VOL}/types/{{id}}/action": [{"addProjectAccess": {"project": "@projects"}}, {"removeProjectAccess": {"project": "@projects"}}],
}  # fmt: skip

OTHERS: dict[tuple[str, str], t.Any] = {
    ("PUT", f"{IDN}/projects/{{project_id}}/tags"): {"tags": ["t", "u"]},
    ("PATCH", f"{IDN}/registered_limits/{{registered_limit_id}}"): {"registered_limit": {"default_limit": 9}},
    ("PATCH", f"{IDN}/limits/{{limit_id}}"): {"limit": {"resource_limit": 4}},
    **{(method, f"{IDN}/domains/{{domain_id}}/config"): {"config": {"ldap": {"url": "ldap://a"}, "identity": {"driver": "sql"}}}
       for method in ("PUT", "PATCH")},
    **{(method, f"{IDN}/OS-FEDERATION/mappings/{{mapping_id}}"): {"mapping": {"rules": [
        {"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "UserName"}]}]}} for method in ("PUT", "PATCH")},
    **{(method, f"{IDN}/OS-FEDERATION/identity_providers/{{idp_id}}/protocols/{{protocol_id}}"): {"protocol": {"mapping_id": "@mappings"}}
       for method in ("PUT", "PATCH")},
    ("PATCH", f"{IDN}/OS-FEDERATION/identity_providers/{{idp_id}}"): {"identity_provider": {"enabled": True, "description": "d"}},
    ("PATCH", f"{IDN}/OS-FEDERATION/service_providers/{{service_provider_id}}"): {"service_provider": {"enabled": True, "description": "d"}},
    ("PATCH", f"{IDN}/regions/{{region_id}}"): {"region": {"description": "r"}},
    ("PATCH", f"{IMG}/images/{{id}}"): [[{"op": "replace", "path": "/name", "value": "n"}], [{"op": "add", "path": "/x", "value": "y"}],
                                       [{"op": "remove", "path": "/hw_property"}, {"op": "replace", "path": "/tags", "value": ["a"]}]],
    ("PUT", f"{IMG}/images/{{id}}/members/{{member_id}}"): {"status": "accepted"},
    ("PUT", f"{IMG}/metadefs/namespaces/{{namespace}}/tags/{{name}}"): {"name": "#"},
    ("PUT", f"{NET}/routers/{{id}}/add_router_interface"): [{"subnet_id": "@subnets"}, {"port_id": "@ports"}],
    ("PUT", f"{NET}/routers/{{id}}/remove_router_interface"): [{"subnet_id": "@subnets"}, {"port_id": "@ports"}],
    ("PUT", f"{NET}/routers/{{id}}/add_extraroutes"): {"router": {"routes": [{"destination": "1.0.0.0/8", "nexthop": "172.24.4.77"}]}},
    ("PUT", f"{NET}/routers/{{id}}/remove_extraroutes"): {"router": {"routes": [{"destination": "1.0.0.0/8", "nexthop": "172.24.4.77"}]}},
    ("PUT", f"{NET}/subnetpools/{{id}}/add_prefixes"): {"prefixes": ["10.7.0.0/16"]},
    ("PUT", f"{NET}/subnetpools/{{id}}/remove_prefixes"): {"prefixes": ["10.7.0.0/16"]},
    ("PUT", f"{NET}/networks/{{id}}"): {"network": {"name": "n", "admin_state_up": True, "description": "d", "mtu": 1300}},
    ("PUT", f"{NET}/floatingips/{{id}}"): [{"floatingip": {"description": "f", "port_id": None}}, {"floatingip": {"port_id": "@ports"}}],
    ("PUT", f"{NET}/quotas/{{project_id}}"): {"quota": {"network": 500, "port": -1}},
    ("PUT", f"{NET}/ports/{{id}}"): {"port": {"name": "p", "admin_state_up": True, "security_groups": ["@security-groups"], "device_id": "d",
                                             "extra_dhcp_opts": [], "binding:host_id": "simulated-0001", "port_security_enabled": True}},
    ("PUT", f"{NET}/subnets/{{id}}"): {"subnet": {"name": "s", "enable_dhcp": True, "dns_nameservers": ["1.1.1.1"], "host_routes": []}},
    ("PUT", f"{NET}/agents/{{id}}"): {"agent": {"admin_state_up": True, "description": "d"}},
    ("POST", f"{NET}/agents/{{id}}/dhcp-networks"): {"network_id": "@networks"},
    ("POST", f"{NET}/agents/{{id}}/l3-routers"): {"router_id": "@routers"},
    ("POST", f"{NET}/ports/{{id}}/bindings"): {"binding": {"host": "simulated-0002", "vnic_type": "normal"}},
    ("PUT", f"{NET}/ports/{{id}}/bindings/{{host}}"): {"binding": {"vnic_type": "direct"}},
    ("PUT", f"{NET}/rbac-policies/{{id}}"): {"rbac_policy": {"target_tenant": "@projects"}},
    **{(method, f"{NET}/{{kind}}/{{id}}/tags"): {"tags": ["t", "u"]} for method in ("PUT", "POST")},
    ("PUT", f"{PLC}/resource_providers/{{uuid}}/inventories"): {"resource_provider_generation": 0, "inventories": {"VCPU": {
        "total": 8, "reserved": 1, "min_unit": 1, "max_unit": 8, "step_size": 1, "allocation_ratio": 4.0}}},
    ("PUT", f"{PLC}/resource_providers/{{uuid}}/inventories/{{resource_class}}"): {"resource_provider_generation": 1, "total": 9},
    ("POST", f"{PLC}/resource_providers/{{uuid}}/inventories"): {"resource_class": "DISK_GB", "total": 9, "resource_provider_generation": 0},
    ("PUT", f"{PLC}/resource_providers/{{uuid}}/traits"): {"resource_provider_generation": 0, "traits": ["HW_CPU_X86_AVX"]},
    ("PUT", f"{PLC}/resource_providers/{{uuid}}/aggregates"): {"resource_provider_generation": 0, "aggregates": ["00000000-0000-4000-8000-000000000001"]},
    ("PUT", f"{PLC}/allocations/{{consumer}}"): {"allocations": {"@resource_providers": {"resources": {"VCPU": 1}}}, "project_id": "p", "user_id": "u",
                                                "consumer_generation": None, "consumer_type": "INSTANCE"},
    ("POST", f"{PLC}/allocations"): {"00000000-0000-4000-8000-000000000002": {
        "allocations": {"@resource_providers": {"resources": {"VCPU": 1}}}, "project_id": "p", "user_id": "u", "consumer_generation": None,
        "consumer_type": "INSTANCE"}},
    ("POST", f"{PLC}/reshaper"): {"inventories": {}, "allocations": {}},
    ("PUT", f"{CMP}/os-quota-sets/{{id}}"): {"quota_set": {"cores": 50, "ram": -1, "force": True}},
    ("PUT", f"{CMP}/os-aggregates/{{id}}"): {"aggregate": {"name": "#"}},
    ("PUT", f"{CMP}/flavors/{{id}}"): {"flavor": {"description": "d"}},
    ("PUT", f"{CMP}/flavors/{{id}}/os-extra_specs/{{key}}"): {"{key}": "b"},
    ("PUT", f"{CMP}/os-security-groups/{{id}}"): {"security_group": {"name": "#", "description": "d"}},
    ("PUT", f"{CMP}/servers/{{id}}"): {"server": {"name": "s", "description": "d", "accessIPv4": "1.2.3.4", "OS-DCF:diskConfig": "AUTO"}},
    ("PUT", f"{CMP}/servers/{{id}}/tags"): {"tags": ["t", "u"]},
    ("PUT", f"{CMP}/servers/{{id}}/os-volume_attachments/{{volume_id}}"): [{"volumeAttachment": {"volumeId": "@volumes"}}, {
        "volumeAttachment": {"volumeId": "{volume_id}", "delete_on_termination": True}}],
    ("PUT", f"{CMP}/os-services/{{id}}"): [{"status": "enabled"}, {"status": "enabled", "forced_down": False}, {"status": "disabled"}],
    **{("PUT", f"{CMP}/os-services/{name}"): {"host": "simulated-0002", "binary": "nova-compute"} | more for name, more in (
        ("enable", {}), ("disable", {}), ("disable-log-reason", {"disabled_reason": "r"}), ("force-down", {"forced_down": False}))},
    **{(method, f"{base}/{{id}}/metadata"): {"metadata": {"k": "v"}} for method in ("POST", "PUT")
       for base in (f"{CMP}/servers", f"{CMP}/images", f"{VOL}/volumes", f"{VOL}/snapshots")},
    **{("PUT", f"{base}/{{id}}/metadata/{{key}}"): {"meta": {"{key}": "v"}}
       for base in (f"{CMP}/servers", f"{CMP}/images", f"{VOL}/volumes", f"{VOL}/snapshots")},
    ("PUT", f"{VOL}/os-quota-sets/{{tenant}}"): {"quota_set": {"volumes": 50, "gigabytes": -1}},
    ("PUT", f"{VOL}/os-quota-class-sets/{{name}}"): {"quota_class_set": {"volumes": 500, "backups": 500}},
    ("PUT", f"{VOL}/volumes/{{id}}"): {"volume": {"name": "v", "description": "d", "metadata": {"a": "b"}}},
    ("PUT", f"{VOL}/backups/{{id}}"): {"backup": {"name": "b"}},
    ("PUT", f"{VOL}/types/{{id}}"): {"volume_type": {"name": "#", "description": "d", "is_public": True}},
    ("PUT", f"{VOL}/types/{{id}}/extra_specs/{{key}}"): {"{key}": "b"},
    ("PUT", f"{VOL}/types/{{id}}/encryption/{{key}}"): {"encryption": {"key_size": 128}},
    ("PUT", f"{VOL}/group_types/{{id}}"): {"group_type": {"name": "#", "description": "d", "is_public": True}},
    ("PUT", f"{VOL}/group_types/{{id}}/group_specs/{{key}}"): {"{key}": "b"},
    ("PUT", f"{VOL}/groups/{{id}}"): {"group": {"name": "g", "add_volumes": "@volumes"}},
    ("PUT", f"{VOL}/snapshots/{{id}}"): {"snapshot": {"name": "s", "description": "d"}},
    ("PUT", f"{VOL}/attachments/{{id}}"): {"attachment": {"connector": {"host": "h", "initiator": "i"}}},
    ("PUT", f"{VOL}/qos-specs/{{id}}"): {"qos_specs": {"x": "z"}},
    ("PUT", f"{VOL}/qos-specs/{{id}}/delete_keys"): {"keys": ["x"]},
    ("PUT", "/volume/v3/default-types/{tenant}"): {"default_type": {"volume_type": "@types"}},
    **{("PUT", f"{VOL}/os-services/{name}"): {"host": "simulated-0002"} | more for name, more in (
        ("enable", {"binary": "cinder-volume"}), ("disable", {"binary": "cinder-volume"}), ("freeze", {}), ("thaw", {}),
        ("disable-log-reason", {"binary": "cinder-volume", "disabled_reason": "r"}))},
}  # fmt: skip

QUERIES: dict[str, dict[str, str]] = {
    f"{PLC}/allocation_candidates": {"resources": "VCPU:1"},
    f"{PLC}/usages": {"project_id": "@mine"},
    f"{VOL}/manageable_volumes": {"host": "simulated-0001@cumulet"},
    f"{VOL}/manageable_volumes/detail": {"host": "simulated-0001@cumulet"},
    f"{VOL}/manageable_snapshots": {"host": "simulated-0001@cumulet"},
    f"{VOL}/manageable_snapshots/detail": {"host": "simulated-0001@cumulet"},
    f"{VOL}/qos-specs/{{id}}/associate": {"vol_type_id": "@types"},
    f"{VOL}/qos-specs/{{id}}/disassociate": {"vol_type_id": "@types"},
}  # fmt: skip

NAMED: dict[str, list[str]] = {
    "kind": ["networks", "subnets", "ports", "routers", "floatingips", "security-groups", "subnetpools"], "pattern": ["simulated"],
    "before": ["2030-01-01 00:00:00"], "consumer": ["00000000-0000-4000-8000-000000000002", "00000000-0000-4000-8000-000000000003"],
    "resource_class": ["VCPU", "DISK_GB"], "host": ["simulated-0001", "simulated-0002"], "tag": ["t", "u"], "key": ["a", "k", "x", "b"], "group": ["ldap", "identity"], "option": ["url", "driver", "page_size"],
    f"{IDN}/OS-FEDERATION/mappings": ["m1", "m2", "m3"],
    f"{VOL}/capabilities": ["simulated-0001@cumulet"], f"{VOL}/os-quota-class-sets": ["default"], f"{IDN}/regions": ["r1", "r2"], f"{PLC}/resource_classes": ["CUSTOM_A", "CUSTOM_B"], f"{PLC}/traits": ["CUSTOM_A", "CUSTOM_B"],
}  # fmt: skip
"""What parameters of paths may be that no answer tells of, by their names or collections."""


KINDS = {"tenant": "projects", "os-quota-sets": "projects", "member_id": "projects"}
"""Of what kind a parameter is, where neither its name nor its collection says it."""


def like(method: str, path: str, chance: random.Random) -> t.Any:
    """A body for an operation, or None. A PUT or PATCH of a thing takes a part of what made it, where nothing else is known."""
    found = OTHERS.get((method, path)) or (FIRST.get(path) if method == "POST" else None)
    if found is not None:
        return chance.choice(found) if isinstance(found, list) else found
    made_by = FIRST.get(path.rpartition("/")[0]) if path.endswith("}") and method in ("PUT", "PATCH") else None
    return _part(like("POST", path.rpartition("/")[0], chance), chance) if made_by else None


def _part(body: t.Any, chance: random.Random) -> t.Any:
    """Some of the attributes of a body's only member."""
    if not isinstance(body, dict) or len(body) != 1 or not isinstance(inner := next(iter(body.values())), dict):
        return body
    return {name: {k: v for k, v in inner.items() if chance.random() < 0.4} for name in body}
