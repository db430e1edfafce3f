"""
Raw namespaces wired together: bridges in the host's namespace, a veth pair for every attachment.
"""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from experiments.errors import ComposeError, DeployError
from experiments.lab.network import NetworkNamespace

if TYPE_CHECKING:
    import ipaddress
    from collections.abc import Mapping, Sequence
    from contextlib import ExitStack

    from pyroute2 import IPRoute

    from experiments.deployments.compose import Network, Service

SETTLE_TIMEOUT_S = 10.0
POLL_S = 0.02
BRIDGE_NETFILTER = "/proc/sys/net/bridge/bridge-nf-call-iptables"


@dataclass(frozen=True)
class Instance:
    """
    One running copy of a service, and its address in each of the service's networks.
    """

    name: str
    service: Service
    addresses: Mapping[str, ipaddress.IPv4Address]


def instances(services: Mapping[str, Service], networks: Mapping[str, Network]) -> list[Instance]:
    """
    Every instance with its addresses: the fixed ones as given, the rest the lowest free ones.

    Raises ComposeError for an address outside of its subnet, in use, or wanted by two replicas.
    """
    used: dict[str, set[ipaddress.IPv4Address]] = {
        name: {network.gateway} for name, network in networks.items()
    }
    for service in services.values():
        for name, address in service.addresses.items():
            where = f"services.{service.name}.networks.{name}"
            if name not in networks:
                msg = f"{where}: there is no such network"
                raise ComposeError(msg)
            if address is None:
                continue
            if address not in networks[name].subnet or address in used[name]:
                msg = f"{where}: {address} is taken, or outside of {networks[name].subnet}"
                raise ComposeError(msg)
            if service.replicas > 1:
                msg = f"{where}: {service.replicas} replicas cannot share the address {address}"
                raise ComposeError(msg)
            used[name].add(address)
    found = []
    for service in services.values():
        for number in range(1, service.replicas + 1):
            addresses = {}
            for name, fixed in service.addresses.items():
                free = (host for host in networks[name].subnet.hosts() if host not in used[name])
                addresses[name] = fixed or next(free)
                used[name].add(addresses[name])
            suffix = f"-{number}" if service.replicas > 1 else ""
            found.append(Instance(f"{service.name}{suffix}", service, addresses))
    return found


def wire(
    host: str, networks: Mapping[str, Network], wanted: Sequence[Instance], stack: ExitStack
) -> None:
    """
    Make the bridges in the namespace ``host`` and a namespace for every instance on them.

    The namespaces made are handed to ``stack``; the bridges end with the host's namespace. The
    links are up some time later: see ``settle``.
    """
    attached = {name for instance in wanted for name in instance.addresses}
    outside = NetworkNamespace(host)
    with outside.open() as ipr:
        bridges = {}
        for name in sorted(attached):
            network = networks[name]
            ipr.link("add", ifname=network.bridge, kind="bridge")
            bridges[name] = ipr.link_lookup(ifname=network.bridge)[0]
            _assign(ipr, bridges[name], network.gateway, network)
        number = 0
        for instance in wanted:
            inside = stack.enter_context(NetworkNamespace(instance.name))
            for position, name in enumerate(instance.addresses):
                peer = {"ifname": f"eth{position}", "net_ns_fd": instance.name}
                ipr.link("add", ifname=f"veth{number}", kind="veth", peer=peer)
                port = ipr.link_lookup(ifname=f"veth{number}")[0]
                ipr.link("set", index=port, master=bridges[name], state="up")
                number += 1
            with inside.open() as inner:
                for position, (name, address) in enumerate(instance.addresses.items()):
                    link = inner.link_lookup(ifname=f"eth{position}")[0]
                    _assign(inner, link, address, networks[name])
                    if position == 0:
                        inner.route("add", dst="default", gateway=str(networks[name].gateway))
    # Frames on a bridge pass iptables only where Docker or its like has asked for it; whether the
    # kernel's default for a new namespace is on depends on who loaded br_netfilter before.
    settings = [f"[ ! -e {BRIDGE_NETFILTER} ] || echo 0 >{BRIDGE_NETFILTER}"]
    if len(attached) > 1:
        settings.append("echo 1 >/proc/sys/net/ipv4/ip_forward")
    command = ["nsenter", f"--net={outside.path}", "sh", "-euc", "\n".join(settings)]
    subprocess.run(command, check=True, timeout=SETTLE_TIMEOUT_S)


def _assign(ipr: IPRoute, link: int, address: ipaddress.IPv4Address, network: Network) -> None:
    ipr.addr("add", index=link, address=str(address), prefixlen=network.subnet.prefixlen)
    ipr.link("set", index=link, state="up")


def settle(host: str) -> None:
    """
    Wait until every link of the namespace ``host`` is up; a veth is up when its peer is.

    The kernel settles links up to a second after they are set up, and all of them together.
    Raises DeployError when one stays down.
    """
    deadline = time.monotonic() + SETTLE_TIMEOUT_S
    with NetworkNamespace(host).open() as ipr:
        while True:
            waiting = [
                link.get("ifname")
                for link in ipr.get_links()
                if link.get("ifname") != "lo" and link.get("operstate") != "UP"
            ]
            if not waiting:
                return
            if time.monotonic() > deadline:
                msg = f"in namespace {host} these links did not come up: {', '.join(waiting)}"
                raise DeployError(msg)
            time.sleep(POLL_S)
