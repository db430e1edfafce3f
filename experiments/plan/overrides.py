"""
Compose override files for a user's stack, generated from what Compose made of its files.

Each is ready to be copied beside the user's own file.
"""

from __future__ import annotations

import ipaddress
import json
from typing import TYPE_CHECKING, Any

from experiments.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

BENCHMARK_RANGE = ipaddress.IPv4Network("198.18.0.0/16")
"""The half of the range of RFC 2544 from which networks get subnets; the lab has the other half."""

FIRST_FIXED = 128
"""The first fixed address in a subnet; replicas get lower ones."""

INTERVAL = "1h"
START_INTERVAL = "100ms"
START_PERIOD = "60s"
"""Health is checked until the first success: a later check would be measured too."""


def overrides(config: Mapping[str, Any], checked: Collection[str] = ()) -> dict[str, str]:
    """
    The text of every override file by its name.

    ``checked`` are the services whose images have a health check.

    Raises UsageError for a project with more networks than there are subnets.
    """
    services = config["services"]
    return {
        "measured.yaml": _file(
            "Health is checked until the first success, and networks have subnets of the lab's "
            "range. Every variant has this file.",
            _measured(config, checked),
        ),
        "addresses.yaml": _file(
            "Services have fixed addresses, and find each other by lines of /etc/hosts.\n"
            "# Buys: no DNS lookup for a new connection. Gives up: finding replicas by name.",
            _addresses(config),
        ),
        "host-network.yaml": (
            "# All services use the host's network, and find each other at 127.0.0.1.\n"
            "# Buys: no bridge, no address translation, no proxy. Gives up: a network for each\n"
            "# service (all ports are the host's, and no two services can use the same).\n"
            f"services:\n{''.join(_on_host(config))}"
        ),
        "no-limits.yaml": (
            "# Services have no limits. Buys: what the limits cost. Gives up: their protection.\n"
            f"services:\n{''.join(_without_limits(config))}"
        ),
        "log-none.yaml": _file(
            "What containers print is thrown away.\n"
            "# Buys: nothing is stored. Gives up: what `docker logs` shows.",
            [("services", {name: {"logging": {"driver": "none"}} for name in services})],
        ),
        "log-local.yaml": _file(
            "What containers print is stored in a compact form, in files that are rotated.\n"
            "# Buys: a bounded disk. Gives up: JSON that other tools may read.",
            [("services", {name: {"logging": {"driver": "local"}} for name in services})],
        ),
    }


def _file(about: str, content: Any) -> str:  # noqa: ANN401 - as YAML holds anything
    return f"# {about}\n{''.join(_lines(dict(content), ''))}"


def _lines(table: Mapping[str, Any], indent: str) -> Iterator[str]:
    for key, value in table.items():
        name = key if key.replace("-", "").replace("_", "").isalnum() else json.dumps(key)
        if isinstance(value, dict) and value:
            yield f"{indent}{name}:\n"
            yield from _lines(value, indent + "  ")
        else:
            # YAML reads JSON.
            yield f"{indent}{name}: {json.dumps(value)}\n"


def _measured(config: Mapping[str, Any], by_image: Collection[str]) -> list[tuple[str, Any]]:
    checked = {
        name: {
            "healthcheck": {
                "interval": INTERVAL,
                "start_interval": START_INTERVAL,
                "start_period": START_PERIOD,
            }
        }
        for name, service in config["services"].items()
        if _is_checked(service, by_image=name in by_image)
    }
    networks = {
        name: {"ipam": {"config": [{"subnet": str(subnet)}]}}
        for name, subnet in subnets(config).items()
        if not _given(config, name)
    }
    return [(key, value) for key, value in (("services", checked), ("networks", networks)) if value]


def _is_checked(service: Mapping[str, Any], *, by_image: bool) -> bool:
    check = service.get("healthcheck") or {}
    if check.get("disable") or check.get("test") == ["NONE"]:
        return False
    return bool(check.get("test")) or by_image


def _given(config: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    network = (config.get("networks") or {}).get(name) or {}
    return [each for each in (network.get("ipam") or {}).get("config") or [] if each.get("subnet")]


def _subnet(config: Mapping[str, Any], name: str) -> ipaddress.IPv4Network:
    try:
        return ipaddress.IPv4Network(_given(config, name)[0]["subnet"])
    except ValueError as error:
        msg = f"networks.{name}: {error}; use an IPv4 subnet"
        raise UsageError(msg) from error


def subnets(config: Mapping[str, Any]) -> dict[str, ipaddress.IPv4Network]:
    """
    The subnet of every network: as the files have it, or one of the lab's.

    Raises UsageError if there are not enough.
    """
    names = list(config.get("networks") or {})
    given = {name: _subnet(config, name) for name in names if _given(config, name)}
    free = (
        each
        for each in BENCHMARK_RANGE.subnets(new_prefix=24)
        if not any(each.overlaps(other) for other in given.values())
    )
    found = {}
    for name in names:
        subnet = given.get(name) or next(free, None)
        if subnet is None:
            msg = f"networks.{name}: no subnet is left; use fewer networks"
            raise UsageError(msg)
        found[name] = subnet
    return found


def addresses(config: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """
    The fixed addresses of services without replicas, by service and network.
    """
    found: dict[str, dict[str, str]] = {}
    for network, subnet in subnets(config).items():
        number = FIRST_FIXED
        for name, service in config["services"].items():
            attached = service.get("networks") or {}
            if network not in attached or replicas(service) != 1:
                continue
            own = (attached[network] or {}).get("ipv4_address")
            found.setdefault(name, {})[network] = own or str(subnet.network_address + number)
            number += 1
    return found


def replicas(service: Mapping[str, Any]) -> int:
    """
    The number of copies of a service.
    """
    number = (service.get("deploy") or {}).get("replicas")
    return int(number if number is not None else service.get("scale") or 1)


def _addresses(config: Mapping[str, Any]) -> list[tuple[str, Any]]:
    fixed = addresses(config)
    changed: dict[str, Any] = {}
    for name, service in config["services"].items():
        hosts: dict[str, str] = {}
        for network in service.get("networks") or {}:
            for other, known in fixed.items():
                if other != name and network in known:
                    for each in _names(config, other, network):
                        hosts.setdefault(each, known[network])
        changed[name] = {
            **(
                {"networks": {net: {"ipv4_address": at} for net, at in fixed[name].items()}}
                if name in fixed
                else {}
            ),
            **({"extra_hosts": [f"{host}={at}" for host, at in hosts.items()]} if hosts else {}),
        }
    return [("services", {name: value for name, value in changed.items() if value})]


def _on_host(config: Mapping[str, Any]) -> Iterator[str]:
    """
    The lines of each service; a key of another network is taken away.
    """
    services = config["services"]
    for name, service in services.items():
        names = {
            host: "127.0.0.1"
            for other in services
            if other != name
            for network in services[other].get("networks") or {}
            for host in _names(config, other, network)
        }
        hosts = [f"{host}={address}" for host, address in names.items()]
        yield f"  {name}:\n    network_mode: host\n"
        yield "".join(
            f"    {key}: !reset null\n" for key in ("networks", "ports") if key in service
        )
        yield f"    extra_hosts: {json.dumps(hosts)}\n" if hosts else ""


LIMITS = ("cpus", "mem_limit", "memswap_limit", "pids_limit")


def _without_limits(config: Mapping[str, Any]) -> Iterator[str]:
    for name in limited(config):
        service = config["services"][name]
        yield f"  {name}:\n"
        yield "".join(f"    {key}: !reset null\n" for key in LIMITS if service.get(key))
        if _deploy_limits(service):
            yield "    deploy: {resources: {limits: !reset null}}\n"


def limited(config: Mapping[str, Any]) -> list[str]:
    """
    The services with a limit of CPU time, memory or processes.
    """
    return [
        name
        for name, service in config["services"].items()
        if any(service.get(key) for key in LIMITS) or _deploy_limits(service)
    ]


def _deploy_limits(service: Mapping[str, Any]) -> Any:  # noqa: ANN401 - as Compose has it
    return ((service.get("deploy") or {}).get("resources") or {}).get("limits")


def clashes(config: Mapping[str, Any], exposed: Mapping[str, Sequence[int]]) -> list[str]:
    """
    The ports that two services, or two copies of one, would both listen on at the host's network.

    ``exposed`` maps services to the ports that their images expose.
    """
    users: dict[int, list[str]] = {}
    for name, service in config["services"].items():
        ports = {int(each["target"]) for each in service.get("ports") or []}
        ports |= {int(str(each).partition("/")[0]) for each in service.get("expose") or []}
        for port in sorted(ports | set(exposed.get(name, ()))):
            users.setdefault(port, []).extend([name] * replicas(service))
    return [
        f"port {port} of {' and '.join(dict.fromkeys(names))}"
        for port, names in sorted(users.items())
        if len(names) > 1
    ]


def _names(config: Mapping[str, Any], name: str, network: str) -> list[str]:
    """
    The names by which a service is found in a network.
    """
    service = config["services"][name]
    attached = (service.get("networks") or {}).get(network) or {}
    more = [service["container_name"]] if service.get("container_name") else []
    return [name, *more, *(attached.get("aliases") or [])]
