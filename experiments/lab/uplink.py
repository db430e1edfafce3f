"""
A client outside the host: a network namespace that a veth pair connects to the host's.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from experiments.lab.network import NetworkNamespace

if TYPE_CHECKING:
    from types import TracebackType

UPLINK_ADDRESS = "198.18.255.1"
CLIENT_ADDRESS = "198.18.255.2"
"""The addresses of host and client on the uplink; no network of the stack contains them."""

UPLINK = "uplink"
PREFIX_LENGTH = 30


class Uplink:
    """
    The client's namespace, as a context; ``host`` names the host's namespace.
    """

    def __init__(self, host: str) -> None:
        """
        Nothing is created yet.
        """
        self._host = host
        self._stack = ExitStack()
        self.namespace = NetworkNamespace(f"{host}-client")

    def __enter__(self) -> Self:
        """
        Create the namespace and the pair; the host is the client's default gateway.
        """
        with self._stack:
            self._stack.enter_context(self.namespace)
            with NetworkNamespace(self._host).open() as ipr, self.namespace.open() as far:
                peer = {"ifname": UPLINK, "net_ns_fd": self.namespace.name}
                ipr.link("add", ifname=UPLINK, kind="veth", peer=peer)
                for side, address in ((ipr, UPLINK_ADDRESS), (far, CLIENT_ADDRESS)):
                    link = side.link_lookup(ifname=UPLINK)[0]
                    side.addr("add", index=link, address=address, prefixlen=PREFIX_LENGTH)
                    side.link("set", index=link, state="up")
                far.route("add", dst="default", gateway=UPLINK_ADDRESS)
            self._stack = self._stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """
        Remove the namespace, and the pair with it.
        """
        self._stack.close()
