"""
Network namespaces in the lab, created and removed by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from pyroute2 import IPRoute, netns

if TYPE_CHECKING:
    from types import TracebackType

NAMESPACE_DIRECTORY = "/run/netns"


@dataclass
class NetworkNamespace:
    """
    A network namespace with its loopback interface up, as a context.
    """

    name: str

    @property
    def path(self) -> str:
        """
        The path of the namespace, for ``nsenter --net=``.
        """
        return f"{NAMESPACE_DIRECTORY}/{self.name}"

    def __enter__(self) -> Self:
        """
        Create the namespace.
        """
        netns.create(self.name)
        with self.open() as ipr:
            ipr.link("set", index=ipr.link_lookup(ifname="lo")[0], state="up")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """
        Remove its name; the kernel removes the namespace with the last process in it.
        """
        netns.remove(self.name)

    def open(self) -> IPRoute:
        """
        A netlink socket in the namespace.
        """
        # Without flags=0 a missing namespace would be created.
        return IPRoute(netns=self.name, flags=0)
