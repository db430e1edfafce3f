"""
Deployments: a variant of the stack, up and reachable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from experiments.deployments.compose import ComposeProject
    from experiments.lab.cgroups import ControlGroup


@dataclass(frozen=True)
class Site:
    """
    What the lab gives one deployment.

    ``directory`` is empty and the deployment's own; ``network_namespace`` is the name of the fresh
    network namespace that plays the host; ``group`` holds everything of the stack.
    """

    directory: Path
    network_namespace: str
    group: ControlGroup
    image_store: Path


class Deployment(Protocol):
    """
    A context: entering deploys and waits until every health check passes, leaving tears down.

    Entering raises DeployError, with the last log lines, for a service that does not become
    healthy, and ComposeError for a description that cannot be honoured.
    """

    def __init__(self, project: ComposeProject, site: Site) -> None:
        """
        Nothing is deployed before the context is entered.
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
        Tear down; nothing of the deployment is left.
        """

    def address(self, service: str, port: int, *, published: bool) -> str:
        """
        Where a client in the site's network namespace reaches the service's port: ``host:port``.

        With ``published`` that is the port that the host publishes for it, else the service's own.
        Raises DeployError when there is no such address.
        """

    def logs(self, lines: int) -> dict[str, str]:
        """
        The last lines that each service instance printed.
        """
