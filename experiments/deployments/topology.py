"""
Raw namespaces wired together: by bridges in the host's namespace, or every two by a veth pair.
"""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from experiments.commands import output_of
from experiments.errors import ComposeError, DeployError
from experiments.lab.network import NetworkNamespace

if TYPE_CHECKING:
    import ipaddress
    from collections.abc import Mapping, Sequence
    from contextlib import ExitStack

    from pyroute2 import IPRoute

    from experiments.deployments.compose import Network
    from experiments.deployments.compose_services import Service

SETTLE_TIMEOUT_S = 10.0
POLL_S = 0.02
NEVER_UP = ("lo", "docker0")
"""Links without a state: loopback, and the bridge of Docker's that nothing is attached to."""

BRIDGE_NETFILTER = "net/bridge/bridge-nf-call-iptables"


@dataclass(frozen=True)
class Instance:
    """
    One running copy of a service, its network namespace, and its address in each of its networks.
    """

    name: str
    namespace: str
    service: Service
    addresses: Mapping[str, ipaddress.IPv4Address]


def instances(
    services: Mapping[str, Service], networks: Mapping[str, Network], host: str
) -> list[Instance]:
    """
    Every instance with its addresses: the fixed ones as given, the rest the lowest free ones.

    ``host`` is the namespace of those on the host's network, and begins the names of the others.

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
            name = f"{service.name}{suffix}"
            # Other deployments beside this one have services of the same name.
            namespace = host if service.host_network else f"{host}-{name}"
            found.append(Instance(name, namespace, service, addresses))
    return found


def wire(
    host: str,
    networks: Mapping[str, Network],
    wanted: Sequence[Instance],
    stack: ExitStack,
    *,
    bridged: bool = True,
) -> None:
    """
    Make a namespace for every instance that is not on the host's network, and join them.

    With ``bridged`` there is a bridge for every network in the namespace ``host``, else a veth pair
    between every two. The namespaces made are handed to ``stack``; the links end with them. They
    are up some time later: see await_links.
    """
    apart = [instance for instance in wanted if not instance.service.host_network]
    for instance in apart:
        stack.enter_context(NetworkNamespace(instance.namespace))
    attached = {name for instance in apart for name in instance.addresses}
    if bridged:
        _bridges(host, {name: networks[name] for name in sorted(attached)}, apart)
    else:
        for name in sorted(attached):
            ends = [(host, networks[name].gateway)]
            ends += [
                (instance.namespace, instance.addresses[name])
                for instance in apart
                if name in instance.addresses
            ]
            _pairs(name, ends)
    if len(attached) > 1:
        _set(host, "net/ipv4/ip_forward", "1")


def _bridges(host: str, networks: Mapping[str, Network], wanted: Sequence[Instance]) -> None:
    with NetworkNamespace(host).open() as ipr:
        bridges = {}
        for name, network in networks.items():
            ipr.link("add", ifname=network.bridge, kind="bridge")
            bridges[name] = ipr.link_lookup(ifname=network.bridge)[0]
            _assign(ipr, bridges[name], network.gateway, network.subnet.prefixlen)
        number = 0
        for instance in wanted:
            for position, name in enumerate(instance.addresses):
                peer = {"ifname": f"eth{position}", "net_ns_fd": instance.namespace}
                ipr.link("add", ifname=f"veth{number}", kind="veth", peer=peer)
                port = ipr.link_lookup(ifname=f"veth{number}")[0]
                ipr.link("set", index=port, master=bridges[name], state="up")
                number += 1
            with NetworkNamespace(instance.namespace).open() as inner:
                for position, (name, address) in enumerate(instance.addresses.items()):
                    link = inner.link_lookup(ifname=f"eth{position}")[0]
                    _assign(inner, link, address, networks[name].subnet.prefixlen)
                    if position == 0:
                        inner.route("add", dst="default", gateway=str(networks[name].gateway))


def _pairs(network: str, ends: Sequence[tuple[str, ipaddress.IPv4Address]]) -> None:
    """
    A veth pair between every two ends, and at each a route to just the other one.
    """
    pairs = itertools.combinations(ends, 2)
    for number, ((here, address), (there, other)) in enumerate(pairs):
        name = f"{network[:8]}{number}"
        with NetworkNamespace(here).open() as ipr, NetworkNamespace(there).open() as far:
            ipr.link("add", ifname=name, kind="veth", peer={"ifname": name, "net_ns_fd": there})
            for side, own, peer in ((ipr, address, other), (far, other, address)):
                link = side.link_lookup(ifname=name)[0]
                _assign(side, link, own, 32)
                side.route("add", dst=f"{peer}/32", oif=link, prefsrc=str(own), scope="link")


def pass_no_firewall(host: str) -> None:
    """
    Let bridged frames pass no iptables in the namespace ``host``.

    They do so only where Docker or its like has asked for it; whether the kernel's default for a
    new namespace is on depends on who loaded br_netfilter before.
    """
    _set(host, BRIDGE_NETFILTER, "0")


def _set(namespace: str, name: str, value: str) -> None:
    path = f"/proc/sys/{name}"
    command = ["sh", "-euc", f"[ ! -e {path} ] || echo {value} >{path}"]
    enter = ["nsenter", f"--net={NetworkNamespace(namespace).path}"]
    output_of([*enter, *command], limit_s=SETTLE_TIMEOUT_S, error=DeployError)


def _assign(ipr: IPRoute, link: int, address: ipaddress.IPv4Address, prefix_length: int) -> None:
    ipr.addr("add", index=link, address=str(address), prefixlen=prefix_length)
    ipr.link("set", index=link, state="up")


def await_links(namespaces: Sequence[str]) -> None:
    """
    Wait until every link of these namespaces is up; a veth is up when its peer is.

    The kernel settles links up to a second after they are set up, and all of them together.
    Raises DeployError when one stays down.
    """
    deadline = time.monotonic() + SETTLE_TIMEOUT_S
    for namespace in namespaces:
        with NetworkNamespace(namespace).open() as ipr:
            while waiting := [
                link.get("ifname")
                for link in ipr.get_links()
                if link.get("ifname") not in NEVER_UP and link.get("operstate") != "UP"
            ]:
                if time.monotonic() > deadline:
                    names = ", ".join(waiting)
                    msg = f"in namespace {namespace} these links did not come up: {names}"
                    raise DeployError(msg)
                time.sleep(POLL_S)
