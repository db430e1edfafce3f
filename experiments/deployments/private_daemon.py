"""
The private dockerd of a deployment: at work in a container deployment, idle beside raw namespaces.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.commands import output_of
from experiments.errors import DeployError
from experiments.lab.daemon import DockerDaemon
from experiments.lab.network import NetworkNamespace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.deployments import Site

IPTABLES_TIMEOUT_S = 10


def private_daemon(site: Site, *, userland_proxy: bool = True) -> DockerDaemon:
    """
    The daemon of a site, not started yet: in the host's network namespace, on the stack's CPUs.
    """
    group = site.group.child("daemon")
    group.create()
    return DockerDaemon(
        network_namespace_path=NetworkNamespace(site.network_namespace).path,
        directory=site.directory,
        group=group,
        container_group=site.group,
        processors=site.processors,
        store=site.image_store,
        userland_proxy=userland_proxy,
    )


def let_bridges_pass(host: str, bridges: Sequence[str]) -> None:
    """
    Allow frames to cross these bridges, which dockerd would drop.

    dockerd sets the policy of FORWARD to DROP and sends bridged frames through iptables. Its manual
    asks administrators to add rules to DOCKER-USER. The frames still pass all rules, whose cost is
    to be measured.
    """
    for bridge in bridges:
        rule = ["-I", "DOCKER-USER", "-i", bridge, "-o", bridge, "-j", "ACCEPT"]
        enter = ["nsenter", f"--net={NetworkNamespace(host).path}", "--"]
        output_of([*enter, "iptables", *rule], limit_s=IPTABLES_TIMEOUT_S, error=DeployError)
