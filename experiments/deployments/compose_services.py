"""
The services of a Compose file as raw namespaces can run them; unsupported keys are errors.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from experiments.deployments.compose import TableReader
from experiments.deployments.compose_keys import Arms, key_of
from experiments.errors import ComposeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from experiments.deployments.compose import ComposeProject
    from experiments.deployments.images import Image


@dataclass(frozen=True)
class Healthcheck:
    """
    The health check of a service; durations in seconds.
    """

    command: tuple[str, ...]
    interval_s: float
    timeout_s: float
    retries: int
    start_period_s: float
    start_interval_s: float


@dataclass(frozen=True)
class Volume:
    """
    What is mounted at a path: a file or folder by its path, or, if ``is_new``, a new folder.

    A new one begins with what the image has at the path. ``source`` is its name for all services of
    the deployment; one without a name is for one service alone.
    """

    source: str
    read_only: bool
    is_new: bool = False


@dataclass(frozen=True)
class Settings:
    """
    What needs namespaces of the service's own; a plain process has the defaults.

    ``ulimits`` maps names such as ``nofile`` to soft and hard limits. ``hosts`` maps names to
    addresses. ``shm_bytes`` is None for Docker's default.
    """

    hostname: str = ""
    hosts: tuple[tuple[str, str], ...] = ()
    groups: tuple[str, ...] = ()
    capabilities_added: tuple[str, ...] = ()
    capabilities_dropped: tuple[str, ...] = ()
    ulimits: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    sysctls: Mapping[str, str] = field(default_factory=dict)
    shm_bytes: int | None = None
    read_only: bool = False
    no_new_privileges: bool = False
    init: bool = False


@dataclass(frozen=True)
class Service:
    """
    One service of the stack.

    With ``host_network`` it uses the host's network namespace and has no addresses. ``addresses``
    maps its networks to a fixed address, or to None for any free one, and ``aliases`` to further
    names there; ``depends_on`` maps services to one of ``CONDITIONS``. With ``runs_once`` it ends
    before others start, and is none of those that are loaded.
    ``cpus``, ``memory_bytes`` and ``processes`` are limits or None. ``tmpfs`` maps paths to mount
    options, ``volumes`` maps paths to what is mounted there.
    """

    name: str
    image: Image
    command: tuple[str, ...]
    environment: Mapping[str, str]
    working_dir: str
    user: str
    depends_on: Mapping[str, str]
    healthcheck: Healthcheck | None
    replicas: int
    cpus: float | None
    memory_bytes: int | None
    processes: int | None
    host_network: bool
    addresses: Mapping[str, ipaddress.IPv4Address | None]
    aliases: Mapping[str, tuple[str, ...]]
    tmpfs: Mapping[str, str]
    volumes: Mapping[str, Volume]
    settings: Settings
    runs_once: bool = False


COMPLETED = "service_completed_successfully"
CONDITIONS = ("service_started", "service_healthy", COMPLETED)


def run_once(config: Mapping[str, Any]) -> set[str]:
    """
    The services of a resolved configuration whose end others wait for.
    """
    return {
        name
        for service in (config.get("services") or {}).values()
        for name, dependency in (service.get("depends_on") or {}).items()
        if dependency.get("condition") == COMPLETED
    }


def services(project: ComposeProject, image_of: Callable[[str], Image]) -> dict[str, Service]:
    """
    The project's services by name; ``image_of`` finds an image by its name.

    Raises ComposeError with each service and the first key of it that raw namespaces cannot honour.
    """
    for key, value in project.config.items():
        known = key in {"name", "services", "networks", "volumes", *FILES} or key.startswith("x-")
        if value and not known:
            msg = f"{key}: raw namespaces cannot honour this key; remove it, or use a container"
            raise ComposeError(msg)
    own = str(project.config.get("name"))
    found, wrong = {}, list(_wrong_volumes(project))
    for name, table in TableReader("the project", project.config).tables("services"):
        try:
            found[name] = _service(name, own, table, image_of, project.config)
        except ComposeError as error:
            wrong.append(str(error))
    if wrong:
        raise ComposeError("\n".join(wrong))
    once = {
        name
        for each in found.values()
        for name, condition in each.depends_on.items()
        if condition == COMPLETED
    }
    return {name: replace(each, runs_once=name in once) for name, each in found.items()}


def _wrong_volumes(project: ComposeProject) -> Iterator[str]:
    for name, table in TableReader("the project", project.config).tables("volumes"):
        reader = TableReader(f"volumes.{name}", table)
        for key in ("name", "labels"):
            reader.take(key)
        try:
            if reader.take("external"):
                reader.refuse("external", value=True, reason="the lab has no other project's")
            if (driver := reader.text("driver")) not in {"", "local"}:
                reader.refuse("driver", driver, "only local")
            reader.finish()
        except ComposeError as error:
            yield str(error)


def image_name(project: str, service: str, image: str) -> str:
    """
    The name of a service's image; Compose gives one to an image that it builds.
    """
    return image or f"{project}-{service}"


FILES = {"configs": "/", "secrets": "/run/secrets/"}
"""Keys of files that a service gets, and where Compose mounts them."""


def _service(
    name: str,
    project: str,
    table: object,
    image_of: Callable[[str], Image],
    config: Mapping[str, Any],
) -> Service:
    reader = TableReader(f"services.{name}", table)
    _refuse_keys(reader)
    image = image_of(image_name(project, name, reader.text("image")))
    entrypoint, command = reader.take("entrypoint", list), reader.take("command", list)
    if entrypoint is None:
        line = [*image.entrypoint, *(image.command if command is None else command)]
    else:
        line = [*entrypoint, *(command or [])]
    if not line:
        msg = f"services.{name} has no command, and its image has no default one"
        raise ComposeError(msg)
    # Compose adds what is not said, and then says nothing.
    if reader.table.get("deploy") is None:
        reader.take("deploy")
    replicas, cpus, memory_bytes, processes = _limits(reader)
    host_network = _host_network(reader)
    also = reader.text("container_name")
    addresses, aliases = ({}, {}) if host_network else _networks(reader, (also,) if also else ())
    volumes, tmpfs = _volumes(reader, image)
    service = Service(
        name=name,
        image=image,
        command=tuple(reader.checked_texts("command", line)),
        environment={**(image.environment or {}), **_environment(reader)},
        working_dir=reader.text("working_dir") or image.working_dir or "/",
        user=reader.text("user") or image.user,
        depends_on=_dependencies(reader),
        healthcheck=_healthcheck(
            TableReader(
                f"{reader.where}.healthcheck",
                {**(image.healthcheck or {}), **(reader.inner("healthcheck").table)},
            )
        ),
        host_network=host_network,
        addresses=addresses,
        aliases=aliases,
        tmpfs={**tmpfs, **_tmpfs(reader)},
        volumes={**volumes, **_files(reader, config)},
        replicas=replicas,
        cpus=cpus,
        memory_bytes=memory_bytes,
        processes=processes,
        settings=_settings(reader),
    )
    reader.finish()
    return service


UNREAD = frozenset(
    (
        *("pull_policy", "build", "platform", "expose", "attach", "develop"),
        *("stop_grace_period", "stop_signal", "restart", "stdin_open", "profiles"),
    )
)
"""Keys that a process needs not read to do what they say."""


def _refuse_keys(reader: TableReader) -> None:
    """
    Take the keys that only Docker honours, and refuse those that nothing does.
    """
    for name in list(reader.table):
        key = key_of(name)
        if key.arms is Arms.REFUSED and reader.table[name] not in (None, [], {}, "", False):
            msg = f"{reader.where}.{name} is refused (its value is {reader.table[name]!r}): "
            raise ComposeError(msg + key.about)
        if key.arms is not Arms.BOTH or name in UNREAD or name.startswith("x-"):
            reader.take(name)


def _settings(reader: TableReader) -> Settings:
    options = reader.texts("security_opt")
    for option in options:
        if option not in NO_NEW_PRIVILEGES:
            reader.refuse("security_opt", option, "only no-new-privileges")
    ulimits = {}
    for name, value in reader.tables("ulimits"):
        both = value if isinstance(value, dict) else {"soft": value, "hard": value}
        limit = TableReader(f"{reader.where}.ulimits.{name}", both)
        soft, hard = (int(limit.number(key, MOST_BYTES) or 0) for key in ("soft", "hard"))
        ulimits[name] = (soft, hard)
        limit.finish()
    sysctls = TableReader(reader.where, {"sysctls": reader.take("sysctls")}).inner("sysctls")
    shm = reader.number("shm_size", MOST_BYTES)
    return Settings(
        hostname=reader.text("hostname"),
        hosts=tuple(_hosts(reader)),
        groups=tuple(reader.texts("group_add")),
        capabilities_added=tuple(reader.texts("cap_add")),
        capabilities_dropped=tuple(reader.texts("cap_drop")),
        ulimits=ulimits,
        sysctls={name: sysctls.text(name) for name in list(sysctls.table)},
        shm_bytes=int(shm) if shm else None,
        read_only=bool(reader.take("read_only")),
        no_new_privileges=bool(options),
        init=bool(reader.take("init")),
    )


NO_NEW_PRIVILEGES = ("no-new-privileges", "no-new-privileges:true", "no-new-privileges=true")


def _hosts(reader: TableReader) -> Iterator[tuple[str, str]]:
    for entry in reader.texts("extra_hosts"):
        name, separator, address = entry.partition("=")
        if not separator:
            name, _, address = entry.partition(":")
        try:
            yield name, str(ipaddress.ip_address(address.strip("[]")))
        except ValueError:
            reader.refuse("extra_hosts", entry, "a name and an address, such as db=198.18.0.31")


def _environment(reader: TableReader) -> dict[str, str]:
    pairs = dict(reader.tables("environment"))
    table = TableReader(f"{reader.where}.environment", pairs)
    return {name: table.text(name) for name in pairs}


def _volumes(reader: TableReader, image: Image) -> tuple[dict[str, Volume], dict[str, str]]:
    """
    The volumes by path, those of the image too, and the file systems in memory among them.
    """
    found = {path: Volume("", read_only=False, is_new=True) for path in image.volumes}
    tmpfs = {}
    for volume in reader.take("volumes", list) or []:
        mount = TableReader(f"{reader.where}.volumes", volume)
        kind, source, target = (mount.text(key) for key in ("type", "source", "target"))
        read_only = bool(mount.take("read_only"))
        size = mount.inner("tmpfs").number("size", MOST_BYTES)
        for key in ("bind", "volume", "consistency"):
            mount.take(key)
        mount.finish()
        if kind == "tmpfs":
            tmpfs[target] = f"{TMPFS_OPTIONS},size={int(size)}" if size else TMPFS_OPTIONS
        elif kind in {"bind", "volume"}:
            found[target] = Volume(source, read_only, is_new=kind == "volume")
        else:
            reader.refuse("volumes", f"{source}:{target}", f"the type {kind!r} is unknown")
    return {path: each for path, each in found.items() if path not in tmpfs}, tmpfs


def _files(reader: TableReader, config: Mapping[str, Any]) -> dict[str, Volume]:
    """
    The configurations and secrets by path; Compose mounts their files read-only.
    """
    found = {}
    for kind, folder in FILES.items():
        for entry in reader.take(kind, list) or []:
            mount = TableReader(f"{reader.where}.{kind}", entry)
            source, target = mount.text("source"), mount.text("target")
            # As files are mounted, they keep their own.
            for key in ("uid", "gid", "mode"):
                mount.take(key)
            mount.finish()
            known = TableReader(f"{kind}.{source}", (config.get(kind) or {}).get(source))
            known.take("name")
            file = known.text("file")
            if not file:
                known.refuse("file", file, "only a file of the project")
            known.finish()
            path = target or source
            found[path if path.startswith("/") else f"{folder}{path}"] = Volume(
                file, read_only=True
            )
    return found


TMPFS_OPTIONS = "noexec,nosuid,nodev,mode=1777"
"""Docker's default options for a tmpfs."""


def _tmpfs(reader: TableReader) -> dict[str, str]:
    found = {}
    for entry in reader.texts("tmpfs"):
        path, _, options = entry.partition(":")
        found[path] = f"{TMPFS_OPTIONS},{options}" if options else TMPFS_OPTIONS
    return found


MOST_REPLICAS = 1000
"""Of one service; more than any stack has, and each is a process with a namespace of its own."""

MOST_BYTES = 2**63
MOST_CPUS = 1e6
MOST_PROCESSES = 2**22


def _limits(reader: TableReader) -> tuple[int, float | None, int | None, int | None]:
    deploy = reader.inner("deploy")
    replicas = deploy.number("replicas", MOST_REPLICAS)
    deploy.take("restart_policy")
    resources = deploy.inner("resources")
    # Placement concerns a swarm; Compose adds it empty.
    if deploy.table.get("placement") == {}:
        deploy.take("placement")
    deploy.finish()
    limits, hints = resources.inner("limits"), resources.inner("reservations")
    for key in ("cpus", "memory"):
        hints.take(key)
    hints.finish()
    resources.finish()
    cpus = limits.number("cpus", MOST_CPUS) or reader.number("cpus", MOST_CPUS)
    memory = limits.number("memory", MOST_BYTES) or reader.number("mem_limit", MOST_BYTES)
    # Compose has it at both places, and 0 and -1 stand for none.
    if reader.table.get("pids_limit") == -1:
        reader.take("pids_limit")
    processes = [
        limits.number("pids", MOST_PROCESSES),
        reader.number("pids_limit", MOST_PROCESSES),
    ]
    limits.finish()
    scale = reader.number("scale", MOST_REPLICAS)
    return (
        int(replicas if replicas is not None else scale if scale is not None else 1),
        cpus or None,
        int(memory) if memory else None,
        next((int(each) for each in processes if each), None),
    )


def _dependencies(reader: TableReader) -> dict[str, str]:
    found = {}
    for name, table in reader.tables("depends_on"):
        dependency = TableReader(f"{reader.where}.depends_on.{name}", table)
        condition = dependency.take("condition")
        # Nothing is started again.
        for key in ("required", "restart"):
            dependency.take(key)
        dependency.finish()
        if condition not in CONDITIONS:
            dependency.refuse("condition", condition, f"only {', '.join(CONDITIONS)}")
        found[name] = condition
    return found


def _host_network(reader: TableReader) -> bool:
    mode = reader.take("network_mode")
    if mode not in (None, "host"):
        reader.refuse("network_mode", mode, "only host")
    return bool(mode)


def _networks(
    reader: TableReader, also: tuple[str, ...]
) -> tuple[dict[str, ipaddress.IPv4Address | None], dict[str, tuple[str, ...]]]:
    """
    The address in each network, and the aliases there, with those that hold everywhere.
    """
    found: dict[str, ipaddress.IPv4Address | None] = {}
    aliases = {}
    for name, table in reader.tables("networks"):
        attachment = TableReader(f"{reader.where}.networks.{name}", table)
        address = attachment.text("ipv4_address")
        aliases[name] = (*attachment.texts("aliases"), *also)
        attachment.take("priority")
        attachment.finish()
        try:
            found[name] = ipaddress.IPv4Address(address) if address else None
        except ValueError as error:
            msg = f"{attachment.where}.ipv4_address: {error}"
            raise ComposeError(msg) from error
    if not found:
        msg = f"{reader.where} has no network, so nothing could reach its namespace; give it one"
        raise ComposeError(msg)
    return found, aliases


SHORTEST_INTERVAL_S = 600.0
"""
Health is checked until the first success. A Compose file with checks during a trial is refused.
"""


MOST_RETRIES = 1e6


def _healthcheck(reader: TableReader) -> Healthcheck | None:
    table = dict(reader.table)
    if not table.get("test") or table.get("disable") or table["test"] == ["NONE"]:
        return None
    kind, *test = reader.texts("test")
    if kind == "CMD-SHELL":
        test = ["/bin/sh", "-c", *test]
    elif kind != "CMD":
        reader.refuse("test", kind)
    interval_s = seconds(reader.text("interval") or "30s")
    if interval_s < SHORTEST_INTERVAL_S:
        reader.refuse(
            "interval",
            table.get("interval", "30s"),
            "a health check during a trial would be measured too; use 10m or more",
        )
    check = Healthcheck(
        command=tuple(test),
        interval_s=interval_s,
        timeout_s=seconds(reader.text("timeout") or "30s"),
        retries=int(reader.number("retries", MOST_RETRIES) or 3),
        start_period_s=seconds(reader.text("start_period") or "0s"),
        start_interval_s=seconds(reader.text("start_interval") or "5s"),
    )
    reader.finish()
    return check


def seconds(duration: str) -> float:
    """
    A duration as Compose prints it, such as ``1h0m0s`` or ``100ms``, in seconds.

    Raises ComposeError for anything else.
    """
    units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
    parts = re.findall(r"([0-9]{1,15}(?:\.[0-9]{1,15})?)(h|ms|m|us|µs|ns|s)", duration)
    if not parts or "".join(map("".join, parts)) != duration:
        msg = f"{duration!r} is not a duration such as 1m30s or 100ms"
        raise ComposeError(msg)
    return sum(float(number) * units[unit] for number, unit in parts)
