"""
The topology of raw namespaces: bridges in the host's namespace, or a veth pair for every two.
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
"""Links that are never up: loopback, and Docker's bridge without a container."""

BRIDGE_NETFILTER = "net/bridge/bridge-nf-call-iptables"


@dataclass(frozen=True)
class Instance:
    """
    One copy of a service, its network namespace, and its address in every network.
    """

    name: str
    namespace: str
    service: Service
    addresses: Mapping[str, ipaddress.IPv4Address]


def instances(
    services: Mapping[str, Service], networks: Mapping[str, Network], host: str
) -> list[Instance]:
    """
    Every instance with its addresses: fixed ones as given, others the lowest free ones.

    ``host`` is the namespace of services on the host's network, and the prefix of other names.

    Raises ComposeError for an address outside its subnet, in use, or fixed for two replicas.
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
                msg = f"{where}: {address} is in use, or outside {networks[name].subnet}"
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
                addresses[name] = fixed or _free(networks[name], used[name])
                used[name].add(addresses[name])
            suffix = f"-{number}" if service.replicas > 1 else ""
            name = f"{service.name}{suffix}"
            # Other deployments have services of the same name.
            namespace = host if service.host_network else f"{host}-{name}"
            found.append(Instance(name, namespace, service, addresses))
    return found


def hosts_of(instance: Instance, every: Sequence[Instance]) -> str:
    """
    The lines of /etc/hosts of an instance: its own names, and those of all on its networks.
    """
    names = [("127.0.0.1", "localhost"), ("::1", "localhost ip6-localhost ip6-loopback")]
    own = instance.service.settings.hostname or instance.name
    if not instance.addresses:
        names.append(("127.0.0.1", own))
    names += [(address, name) for name, address in instance.service.settings.hosts]
    given = {name for name, _ in instance.service.settings.hosts}
    for other in every:
        service = other.service
        for network, address in other.addresses.items():
            if network in instance.addresses:
                known = (service.name, other.name, *service.aliases[network])
                # Each address is there once: a resolver gives all lines, and nginx, for one, would
                # take two for two servers.
                known = (own, *known) if other is instance else known
                left = [name for name in dict.fromkeys(known) if name not in given]
                if left:
                    names.append((str(address), " ".join(left)))
    return "".join(f"{address}\t{name}\n" for address, name in names)


def _free(network: Network, used: set[ipaddress.IPv4Address]) -> ipaddress.IPv4Address:
    for address in network.subnet.hosts():
        if address not in used:
            return address
    msg = f"networks.{network.name}: {network.subnet} has no address left; use a larger subnet"
    raise ComposeError(msg)


def wire(
    host: str,
    networks: Mapping[str, Network],
    wanted: Sequence[Instance],
    stack: ExitStack,
    *,
    bridged: bool = True,
) -> None:
    """
    Create and connect a namespace for every instance that is not on the host's network.

    With ``bridged`` every network is a bridge in the namespace ``host``; otherwise any two ends are
    connected by a veth pair. ``stack`` gets the namespaces; the links end with them. The links come
    up later: see ``await_links``.
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
            outward = [name for name in instance.addresses if not networks[name].internal]
            with NetworkNamespace(instance.namespace).open() as inner:
                for position, (name, address) in enumerate(instance.addresses.items()):
                    link = inner.link_lookup(ifname=f"eth{position}")[0]
                    _assign(inner, link, address, networks[name].subnet.prefixlen)
                    if [name] == outward[:1]:
                        inner.route("add", dst="default", gateway=str(networks[name].gateway))


def _pairs(network: str, ends: Sequence[tuple[str, ipaddress.IPv4Address]]) -> None:
    """
    A veth pair between any two ends, with a route to the other end only.
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
    Let bridged frames bypass iptables in the namespace ``host``.

    Only Docker and similar software switches that on, but the kernel's default for a new namespace
    depends on whether br_netfilter is loaded.
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
    Wait until all links of these namespaces are up; a veth is up when its peer is.

    The kernel reports links up to a second after they are set up, all at the same time.
    Raises DeployError if a link stays down.
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
                    msg = f"these links of namespace {namespace} did not come up: {names}"
                    raise DeployError(msg)
                time.sleep(POLL_S)
