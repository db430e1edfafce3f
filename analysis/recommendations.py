"""
Which comparisons are advice, and what each gives up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analysis.comparisons import Comparison
    from experiments.records import Manifest

GIVES_UP = {
    ("network", "host"): "a network of its own for each service",
    ("entry", "direct"): "a gateway address that does not change",
    ("discovery", "addresses"): "names in place of addresses",
    ("stdio", "docker-none"): "docker logs",
    ("stdio", "docker-local"): "logs that other tools can read",
    ("server", "gunicorn"): "the simplicity of one process, memory for each worker",
    ("userland_proxy", "off"): "a loopback that is not routed (route_localnet)",
}
"""
What is given up where a factor comes to a level, by both.

The override files in services/ say so of themselves. Of the userland proxy: without it dockerd sets
route_localnet, and does not take it back (moby, issue 45578).
"""


def recommended(manifest: Manifest, compared: Sequence[Comparison]) -> list[tuple[Comparison, str]]:
    """
    The comparisons within one runtime, each with what its treatment gives up.

    What differs in the runtime is the question and no advice; what differs in nothing is A/A.
    """
    levels: dict[str, Mapping[str, str]] = {
        table["name"]: table["levels"] for table in manifest.variants
    }
    return [
        (each, gives_up(levels[each.baseline], levels[each.treatment]))
        for each in compared
        if not each.control
        and levels[each.baseline].get("runtime") == levels[each.treatment].get("runtime")
    ]


def gives_up(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """
    What is given up for these levels; empty where it is not known.
    """
    words = []
    for (factor, level), lost in GIVES_UP.items():
        came = after.get(factor) == level and before.get(factor) != level
        # On the host's network the gateway is at the host's own address, which stays.
        stays = factor == "entry" and after.get("network") == "host"
        if came and not stays:
            words.append(lost)
    return "; ".join(words)
