"""Extensions: which parts of the network API beyond its core work here. Clients look before they use one."""

from __future__ import annotations

from ..kernel.db import Tx
from ..kernel.http import NotFound, Request, View
from .service import api

# -- wire ----------------------------------------------------------------------------------------------------------


class Extension(View, kw_only=True):
    alias: str
    name: str
    description: str
    updated: str
    links: list[dict[str, str]] = []


KNOWN = (
    ("address-scope", "Address scope", "Groups of subnet pools without overlaps.", "2015-07-26"),
    ("agent", "agent", "The services on hosts.", "2013-02-03"),
    ("allowed-address-pairs", "Allowed Address Pairs", "Addresses that a port may use besides its own.", "2013-07-23"),
    ("auto-allocated-topology", "Auto Allocated Topology Services", "A network for projects that have made none.", "2016-01-01"),
    ("availability_zone", "Availability Zone", "Zones of hosts.", "2015-01-01"),
    ("binding", "Port Binding", "Where a port is and how it is plugged in, for administrators.", "2014-02-03"),
    ("binding-extended", "Port Bindings Extended", "Ports bound to several hosts, one of them active.", "2017-07-17"),
    ("default-subnetpools", "Default Subnetpools", "Subnets from the default pool.", "2016-02-18"),
    ("dhcp_agent_scheduler", "DHCP Agent Scheduler", "Which agents networks' DHCP lives with.", "2013-02-07"),
    ("dns-integration", "DNS Integration", "Names of ports in their network's DNS.", "2015-08-15"),
    ("dvr", "Distributed Virtual Router", "The attribute `distributed` of routers, for administrators.", "2014-06-01"),
    ("empty-string-filtering", "Empty String Filtering Extension", "Filters for the empty string.", "2018-05-01"),
    ("ext-gw-mode", "Neutron L3 Configurable external gateway mode", "Gateways of routers with and without SNAT.", "2013-03-28"),
    ("external-net", "Neutron external network", "Networks that lead out of the cloud.", "2013-01-14"),
    ("extra_dhcp_opt", "Neutron Extra DHCP options", "DHCP options of single ports.", "2013-03-17"),
    ("extraroute", "Neutron Extra Route", "Static routes of routers.", "2013-02-01"),
    ("extraroute-atomic", "Atomically add/remove extra routes", "Single routes added and removed.", "2019-07-10"),
    ("filter-validation", "Filter parameters validation", "Unknown filters are refused.", "2018-03-21"),
    ("fip-port-details", "Floating IP Port Details Extension", "The port behind a floating IP.", "2018-04-09"),
    ("ip-substring-filtering", "IP address substring filtering", "Ports by a part of their address.", "2017-11-28"),
    ("l3_agent_scheduler", "L3 Agent Scheduler", "Which agents routers live with.", "2013-02-07"),
    ("metering", "Neutron Metering", "Labels and rules by which traffic is counted.", "2013-06-12"),
    ("metering_source_and_destination_fields", "Neutron Metering with source and destination filtering", "Both ends.", "2020-08-21"),
    ("net-mtu", "Network MTU", "MTU of networks.", "2015-03-25"),
    ("net-mtu-writable", "Network MTU (writable)", "MTU of networks, as the owner sets it.", "2017-07-12"),
    ("network_availability_zone", "Network Availability Zone", "Zones of networks.", "2015-01-01"),
    ("network-ip-availability", "Network IP Availability", "How many addresses of networks are in use.", "2015-09-24"),
    ("pagination", "Pagination support", "Lists in pages.", "2016-06-12"),
    ("port-security", "Port Security", "Ports with and without protection against spoofing.", "2012-07-23"),
    ("port-security-groups-filtering", "Port filtering on security groups", "Ports by their security groups.", "2018-01-09"),
    ("project-id", "project_id field enabled", "`project_id` beside `tenant_id`.", "2016-09-09"),
    ("provider", "Provider Network", "What networks are made of, for administrators.", "2012-09-07"),
    ("quota_details", "Quota details management support", "Quotas with their use.", "2017-02-10"),
    ("quotas", "Quota management support", "Quotas of projects.", "2012-07-29"),
    ("rbac-address-scope", "Add address_scope type to RBAC", "Address scopes shared with single projects.", "2020-02-12"),
    ("rbac-policies", "RBAC Policies", "Networks shared with single projects.", "2015-06-17"),
    ("rbac-security-groups", "Add security_group type to network RBAC", "Security groups shared with single projects.", "2019-02-14"),
    ("rbac-subnetpool", "Add subnetpool type to RBAC", "Subnet pools shared with single projects.", "2020-02-05"),
    ("revision-if-match", "If-Match constraints based on revision_number", "Changes that hold for one revision only.", "2016-12-11"),
    ("router", "Neutron L3 Router", "Routers and floating IPs.", "2012-07-20"),
    ("router_availability_zone", "Router Availability Zone", "Zones of routers.", "2015-01-01"),
    ("security-group", "security-group", "Rules for what reaches ports.", "2012-10-05"),
    ("security-groups-shared-filtering", "Security group filtering on the shared field", "Shared groups or others.", "2021-10-05"),
    ("service-type", "Neutron Service Type Management", "What provides the services of the network.", "2013-01-20"),
    ("sorting", "Sorting support", "Lists in a chosen order.", "2016-06-12"),
    ("standard-attr-description", "standard-attr-description", "Descriptions of all resources.", "2016-02-10"),
    ("standard-attr-revisions", "Resource revision numbers", "Revisions of all resources.", "2016-04-11"),
    ("standard-attr-tag", "Tag support for resources with standard attribute", "Tags of all resources.", "2017-01-01"),
    ("standard-attr-timestamp", "Resource timestamps", "Times of all resources.", "2016-09-12"),
    ("stateful-security-group", "Stateful security group", "The attribute of groups.", "2019-11-26"),
    ("subnet_allocation", "Subnet Allocation", "Subnet pools.", "2015-03-30"),
    ("subnet-external-network", "Subnet belongs to an external network", "`router:external` of subnets.", "2022-12-12"),
    ("subnet-service-types", "Subnet service types", "Subnets for the ports of some devices.", "2016-03-15"),
    ("subnetpool-prefix-ops", "Subnet Pool Prefix Operations", "Prefixes added to and removed from pools.", "2019-02-08"),
    ("uplink-status-propagation", "Port uplink status propagation", "The attribute of ports.", "2018-10-10"),
    ("uplink-status-propagation-updatable", "Port uplink status propagation updatable", "The attribute can be changed.", "2023-11-01"),
)  # fmt: skip
"""alias, name, what it brings, the day on which it was defined"""

EXTENSIONS = {
    alias: Extension(alias=alias, name=name, description=text, updated=f"{day}T10:00:00-00:00") for alias, name, text, day in KNOWN
}

# -- policy --------------------------------------------------------------------------------------------------------

GET = api.rule("get_extension", "rule:regular_user", "Show an extension.")

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("GET", "/extensions", policy=GET, reply="extensions")
def index(tx: Tx, request: Request) -> list[Extension]:
    """List the extensions that work."""
    return list(EXTENSIONS.values())


@api.op("GET", "/extensions/{alias}", policy=GET, reply="extension", errors=(404,))
def show(tx: Tx, request: Request, alias: str) -> Extension:
    """Show an extension."""
    if alias not in EXTENSIONS:
        raise NotFound(f"Extension with alias {alias} does not exist", kind="HTTPNotFound")
    return EXTENSIONS[alias]
