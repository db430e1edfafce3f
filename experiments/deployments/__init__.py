"""
Deployments: a variant of the stack, up and reachable.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

    from experiments.deployments.compose import ComposeProject
    from experiments.lab.cgroups import ControlGroup


DAEMON = "dockerd, containerd, shims"
PROXY = "docker-proxy"
LOG_READER = "log reader"
"""Names of what runs beside the services."""


@dataclass(frozen=True)
class Site:
    """
    What the lab gives one deployment.

    ``directory`` is empty and the deployment's own; ``network_namespace`` is the name of the fresh
    network namespace that plays the host; ``group`` holds everything of the stack. ``plain_root``
    is the userland as a directory tree on no overlay, and ``docker_spec`` the OCI specification by
    which Docker starts a container here; only deployments that imitate it need it. The stack is
    to run on ``processors`` CPUs, also where it is brought up on more.
    """

    directory: Path
    network_namespace: str
    group: ControlGroup
    image_store: Path
    plain_root: Path
    docker_spec: Mapping[str, Any] = field(default_factory=dict)
    processors: int | None = None


@dataclass(frozen=True)
class Part:
    """
    Some processes of a deployment, whose CPU time is one figure.

    ``first_process`` is the process that the others come from. They are in a control group of their
    own, or, where ``group`` is None, are that process with its descendants.
    """

    first_process: int
    group: ControlGroup | None


class Deployment(Protocol):
    """
    A context: entering deploys and waits until every health check passes, leaving kills it all.

    Entering raises DeployError, with the last log lines, for a service that does not become
    healthy, and ComposeError for a description that cannot be honoured. ``started_at`` is when the
    stack began to be brought up, its networks first, on the monotonic clock; a daemon was up then.
    """

    started_at: float

    def __init__(self, project: ComposeProject, site: Site, levels: Mapping[str, str]) -> None:
        """
        Takes a level of every factor, for what the project does not say. Nothing is deployed yet.
        """

    def __enter__(self) -> Self:
        """
        Deploy.
        """

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """
        Tear down; only empty control groups below the site's are left of the deployment.
        """

    def address(self, service: str, port: int, entry: str) -> str:
        """
        Where a client reaches the service's port, by a level of the factor entry: ``host:port``.

        Raises DeployError when there is no such address.
        """

    def services(self) -> dict[str, Part]:
        """
        Every service instance that is up, by its name in the Compose file.
        """

    def helpers(self) -> dict[str, Part]:
        """
        What runs beside the services for their sake, by what it is.
        """

    def logs(self, lines: int) -> dict[str, str]:
        """
        The last lines that each service instance printed.
        """
