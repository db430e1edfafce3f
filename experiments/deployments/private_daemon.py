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
    The daemon of a site, not started yet: in the host's namespace, on the stack's CPUs.
    """
    group = site.group.child("daemon")
    group.create()
    return DockerDaemon(
        network_namespace=NetworkNamespace(site.network_namespace).path,
        directory=site.directory,
        group=group,
        container_group=site.group,
        processors=site.processors,
        store=site.image_store,
        userland_proxy=userland_proxy,
    )


def let_bridges_pass(host: str, bridges: Sequence[str]) -> None:
    """
    Let frames cross these bridges although dockerd refuses what it does not know.

    dockerd sets the policy of FORWARD to DROP and lets bridged frames pass iptables; a rule in
    DOCKER-USER, which it leaves to the user, is what its manual asks an administrator for. The
    frames go on to pass every rule, which is the cost to be seen.
    """
    for bridge in bridges:
        rule = ["-I", "DOCKER-USER", "-i", bridge, "-o", bridge, "-j", "ACCEPT"]
        enter = ["nsenter", f"--net={NetworkNamespace(host).path}", "--"]
        output_of([*enter, "iptables", *rule], limit_s=IPTABLES_TIMEOUT_S, error=DeployError)
