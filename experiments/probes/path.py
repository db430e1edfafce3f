"""
Proof of path: network counters show which links and proxies the requests used.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from experiments.commands import output_of
from experiments.errors import ProofError, WrongAnswerError
from experiments.lab.network import NetworkNamespace
from experiments.lab.uplink import UPLINK
from experiments.probes.cpu import proxy_processes, running_s
from experiments.records.trials import PathCounters

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from experiments.deployments import Deployment

TIMEOUT_S = 20
IDLE_S = 0.001
IDLE_SHARE = 0.01
"""
The CPU time that idle docker-proxies may take: in seconds, or as a share of the time under load.

They wake up briefly at every thaw. A working docker-proxy takes tens of per cent of the time.
"""

UNUSED_BRIDGE = "docker0"
"""Docker's default bridge, which no network of a Compose project uses."""

PACKETS_PER_CALL = 7
"""
The fewest packets of an HTTP call with its own connection: handshake, request, answer, two FINs.

Twelve are usual, so half as many calls as should be made have too few packets.
"""

STRAY_PACKETS = 50
"""Packets on an unused link that come from the kernel (neighbour and multicast discovery)."""

SCRIPT = """\
iptables-save --counters --table nat 2>/dev/null || true
echo conntrack $(cat /proc/sys/net/netfilter/nf_conntrack_count 2>/dev/null || echo 0)
grep -E '^(Ip|Tcp):' /proc/net/snmp
"""
"""Prints the counters of the host's network namespace, without its links."""


def path_counters(host: str, deployment: Deployment) -> PathCounters:
    """
    Read the counters of the namespace ``host`` and of the docker-proxies.

    Raises ProofError if they cannot be read.
    """
    links, kinds = {}, {}
    with NetworkNamespace(host).open() as ipr:
        for link in ipr.get_links():
            stats = link.get("stats64") or {}
            information = link.get("linkinfo")
            name = link.get("ifname")
            kind = information.get("kind") if information else None
            links[name] = int(stats.get("rx_packets", 0)) + int(stats.get("tx_packets", 0))
            kinds[name] = kind or ("loopback" if name == "lo" else "other")
    enter = ["nsenter", f"--net={NetworkNamespace(host).path}", "--", "sh", "-euc", SCRIPT]
    text = output_of(
        enter, limit_s=TIMEOUT_S, error=ProofError, name="reading the network's counters"
    )
    proxies = proxy_processes(deployment.helpers())
    return PathCounters(
        links=links,
        kinds=kinds,
        proxies=len(proxies),
        proxy_s=running_s(proxies),
        **parse_counters(text),
    )


def parse_counters(text: str) -> dict[str, int]:
    """
    The counters in the output of SCRIPT.
    """
    rules = re.findall(r"^\[(\d+):\d+\] -A \S+ .*-j DNAT", text, re.MULTILINE)
    tracked = re.search(r"^conntrack (\d+)$", text, re.MULTILINE)
    return {
        "translated": sum(map(int, rules)),
        "tracked": int(tracked[1]) if tracked else 0,
        "accepted": _snmp(text, "Tcp")["PassiveOpens"],
        "forwarded": _snmp(text, "Ip")["ForwDatagrams"],
    }


def _snmp(text: str, protocol: str) -> dict[str, int]:
    lines = (line.split() for line in text.splitlines())
    heads, values = (words[1:] for words in lines if words and words[0] == f"{protocol}:")
    return dict(zip(heads, map(int, values), strict=True))


Expectation = tuple[str, float, str, bool]
"""The counter, its value, the expected value, and whether they match."""


def check_path(
    levels: Mapping[str, str],
    grown: PathCounters,
    requests: int,
    services: int | None = 1,
    seconds: float = 0.0,
    *,
    bad: int = 0,
) -> None:
    """
    Compare the growth of the counters during loads with the path that the levels imply.

    ``requests`` were completed in ``seconds`` under load, each on a separate connection;
    ``services`` is the number of services, all of which every request passes. None is a stack of
    which nothing is known but that every request passes one of them. Raises ProofError
    with every counter that does not match. If ``bad`` of the answers were no good ones, they are
    the first cause, and a WrongAnswerError is raised: an entry service may answer by itself what
    it should ask others.
    """
    wrong = [
        f"{what}: {counted}, but should be {wanted}"
        for what, counted, wanted, fits in expectations(levels, grown, requests, services, seconds)
        if not fits
    ]
    if wrong and bad:
        msg = (
            f"{bad} of {requests} answers were not good, so requests did not reach all services: "
            + "; ".join(wrong)
        )
        raise WrongAnswerError(msg)
    if wrong:
        msg = "the requests did not take the path of the variant: " + "; ".join(wrong)
        raise ProofError(msg)


def expectations(
    levels: Mapping[str, str],
    grown: PathCounters,
    requests: int,
    services: int | None,
    seconds: float = 0.0,
) -> list[Expectation]:
    """
    The expected values of all counters for these levels.
    """
    network, entry = levels["network"], levels["entry"]
    published = entry == "published"
    by_proxy = published and levels["userland_proxy"] == "on"
    translating = entry == "external" or (published and not by_proxy)
    found: list[Expectation] = []

    def many(what: str, count: float) -> None:
        found.append((what, count, f"at least {requests}", count >= requests))

    def none(what: str, count: float) -> None:
        found.append((what, count, "0", count == 0))

    found += _of_ports(grown, levels, services, requests)
    if network == "tiers" and services != 1:
        many("packets routed between the tiers", grown.forwarded)
    if network == "veth":
        none("bridges", sum(kind == "bridge" for kind in grown.kinds.values()))
        many("packets on veth pairs", _of_kind(grown, "veth"))
    if translating:
        many("connections with a translated destination", grown.translated)
    else:
        none("connections with a translated destination", grown.translated)
    if by_proxy:
        many("connections accepted on the host", grown.accepted)
    return [
        *found,
        *_of_calls(grown, int(levels.get("calls", "1")), requests),
        *_of_proxies(grown, seconds, wanted=by_proxy),
        *_of_tracking(grown, levels),
    ]


def _of_ports(
    grown: PathCounters, levels: Mapping[str, str], services: int | None, requests: int
) -> list[Expectation]:
    """
    Of the links in the host's namespace: those that all requests use, and services' own ends.
    """
    network, used = levels["network"], used_links(levels, grown.kinds)
    ports = {
        name: grown.links.get(name, 0)
        for name, kind in grown.kinds.items()
        if kind == "veth" and name != UPLINK
    }
    if services is None:
        bridges = {name for name, kind in grown.kinds.items() if kind == "bridge"}
        found = _of_links(grown, used - bridges, network, requests, bridges - {UNUSED_BRIDGE})
        ports = {"the busiest port": max(ports.values(), default=0)}
    else:
        found = _of_links(grown, used, network, requests)
        if network in {"bridge", "tiers"}:
            number = len(ports)
            found.append(("ports of services", number, str(services), number == services))
    if network not in {"bridge", "tiers"}:
        return found
    wanted = f"at least {requests}"
    return found + [
        (f"packets on the port {name}", count, wanted, count >= requests)
        for name, count in ports.items()
    ]


def _of_links(
    grown: PathCounters,
    used: set[str],
    network: str,
    requests: int,
    open_to_use: Collection[str] = (),
) -> list[Expectation]:
    found: list[Expectation] = []
    for name in sorted(used | grown.links.keys()):
        packets = grown.links.get(name, 0)
        kind = grown.kinds.get(name, "not there")
        what = f"packets on {name} ({kind})"
        if name in used:
            found.append((what, packets, f"at least {requests}", packets >= requests))
        elif name not in open_to_use and not of_services(name, kind, network):
            stray = packets <= STRAY_PACKETS
            found.append((what, packets, f"at most {STRAY_PACKETS}", stray))
    return found


def _of_calls(grown: PathCounters, calls: int, requests: int) -> list[Expectation]:
    """
    Of several calls for each request: their packets on the ports of the services that are called.
    """
    if calls == 1:
        return []
    ports = [
        grown.links.get(name, 0)
        for name, kind in grown.kinds.items()
        if kind == "veth" and name != UPLINK
    ]
    # The entry service has the most packets: those of all calls, and those of the clients.
    packets = sum(ports) - max(ports, default=0)
    least = PACKETS_PER_CALL * calls * requests
    return [("packets on other ports", packets, f"at least {least}", packets >= least)]


def _of_proxies(grown: PathCounters, seconds: float, *, wanted: bool) -> list[Expectation]:
    spent = "CPU time of docker-proxies in s"
    if not wanted:
        idle_s = max(IDLE_S, IDLE_SHARE * seconds)
        idle = grown.proxy_s <= idle_s
        return [(spent, grown.proxy_s, f"at most {idle_s:g}", idle)]
    return [
        ("docker-proxies", grown.proxies, "at least 1", grown.proxies > 0),
        (spent, grown.proxy_s, f"more than {IDLE_S}", grown.proxy_s > IDLE_S),
    ]


def _of_tracking(grown: PathCounters, levels: Mapping[str, str]) -> list[Expectation]:
    container = levels["runtime"] == "container"
    firewalled = (container and levels["network"] != "host") or levels["beside"] == "dockerd"
    what = "tracked connections"
    if firewalled:
        return [(what, grown.tracked, "more than 0", grown.tracked > 0)]
    # On the host network, the daemon's rules may track a container's connections.
    return [] if container else [(what, grown.tracked, "0", grown.tracked <= 0)]


def of_services(name: str, kind: str, network: str) -> bool:
    """
    Whether a link connects services, so that the workload determines its use.
    """
    if kind == "veth":
        return network != "host" and name != UPLINK
    return kind == "bridge" and network == "tiers"


def used_links(levels: Mapping[str, str], kinds: Mapping[str, str]) -> set[str]:
    """
    The links in the host's namespace that every request uses, without those between services.
    """
    network, entry = levels["network"], levels["entry"]
    used = set()
    # Without a proxy, DNAT changes the destination before the packet is routed over loopback.
    if network == "host" or (entry == "published" and levels["userland_proxy"] == "on"):
        used.add("lo")
    if entry == "external":
        used.add(UPLINK)
    if network == "tiers":
        used.add("frontend")
    if network == "bridge":
        used |= {name for name, kind in kinds.items() if kind == "bridge" and name != UNUSED_BRIDGE}
    return used


def _of_kind(grown: PathCounters, kind: str) -> int:
    return sum(count for name, count in grown.links.items() if grown.kinds[name] == kind)
