"""
Deployments: the protocol of a variant of the stack that is up and reachable.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

    from experiments.deployments.compose import ComposeProject
    from experiments.deployments.ended import EndedProcess
    from experiments.lab.cgroups import ControlGroup


@dataclass(frozen=True)
class Site:
    """
    The resources of one deployment.

    ``directory`` is an empty directory; ``network_namespace`` names the fresh network namespace
    that acts as the host; ``group`` is the control group of the whole stack. ``docker_spec`` is the
    OCI specification of a container that Docker started here, for deployments that imitate one.
    ``processors`` is the number of CPUs that the stack runs on, even if started on more.
    """

    directory: Path
    network_namespace: str
    group: ControlGroup
    image_store: Path
    docker_spec: Mapping[str, Any] = field(default_factory=dict)
    processors: int | None = None


@dataclass(frozen=True)
class Part:
    """
    A part of a deployment: processes whose CPU time is counted together.

    They are the processes of the control group ``group``, or, if that is None, ``first_process``
    and its descendants. ``sandbox`` is a process whose namespaces are not the part's own.
    """

    first_process: int
    group: ControlGroup | None
    sandbox: int | None = None


class Deployment(Protocol):
    """
    A context: entering deploys and waits for all health checks, leaving kills everything.

    Entering raises DeployError with the last log lines if a service ends or does not become
    healthy, and ComposeError for a Compose file that cannot be honoured. ``started_at`` is the
    time, on the monotonic clock, at which the creation of the stack's networks began; a daemon was
    up by then.
    """

    started_at: float

    def __init__(self, project: ComposeProject, site: Site, levels: Mapping[str, str]) -> None:
        """
        ``levels`` decide what the Compose project leaves open. Nothing is deployed yet.
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
        Tear down everything but empty control groups below the site's group.
        """

    def address(self, service: str, port: int, entry: str) -> str:
        """
        The address ``host:port`` of a service's port for a client, by the level of ``entry``.

        Raises DeployError if there is no such address.
        """

    def services(self) -> dict[str, Part]:
        """
        Every running service instance by its name in the Compose file.
        """

    def helpers(self) -> dict[str, Part]:
        """
        The helper processes beside the services, by their kind.
        """

    def ended(self) -> list[EndedProcess]:
        """
        The services that have ended by themselves; if dockerd has, only that one.
        """

    def outputs(self) -> dict[str, Path]:
        """
        The files into which services print, and folders for the rest of what they write.
        """

    def logs(self, lines: int) -> dict[str, str]:
        """
        The last output lines of every service instance.
        """
