"""
What keeps a user's Compose project from being measured, with the remedy: found before any building.

Keys that nothing honours are in the table of ``deployments/compose_keys.py``; this is the rest.
"""

from __future__ import annotations

import dataclasses
import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.declare.stack import ALWAYS
from experiments.deployments.compose import networks, resolve
from experiments.deployments.compose_keys import Arms, key_of
from experiments.deployments.compose_services import FILES, services
from experiments.deployments.images import Image
from experiments.deployments.privileges import is_sensitive, privileges
from experiments.errors import BridgetollError
from experiments.lab.docker_layout import full_name
from experiments.paths import STACK_IN_LAB
from experiments.plan.overrides import overrides, replicas

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from experiments.deployments.compose import ComposeProject

UNKNOWN_IMAGE = Image(layers=(), command=("its default command",))

TO_BUILD = frozenset({"context", "dockerfile", "dockerfile_inline", "target", "args"})
FOR_OTHERS = frozenset(
    {"cache_from", "cache_to", "labels", "network", "no_cache", "pull", "tags", "platforms"}
)
"""Keys of ``build`` that are honoured, and those that change nothing without a registry."""


def refusals(project: ComposeProject) -> list[str]:
    """
    Every reason by service and key, for a project that is seen at STACK_IN_LAB.
    """
    tables = project.config.get("services") or {}
    found = [
        f"the variable ${{{name}}} is not set: write {name}=… into .env beside the Compose file; "
        "no other variables are read"
        for name in project.unset
    ]
    for name, table in tables.items():
        mounts = table.get("volumes") or []
        found += [f"services.{name}.volumes: {each}" for each in _of_mounts(mounts)]
    for kind in FILES:
        for name, table in (project.config.get(kind) or {}).items():
            mounts = [{"type": "bind", "source": table["file"]}] if table.get("file") else []
            found += [f"{kind}.{name}: {each}" for each in _of_mounts(mounts)]
    return found + _of_memory(tables, memory_bytes()) + _of_values(project)


def reaching(project: ComposeProject) -> list[str]:
    """
    The values that reach the machine, of keys that are honoured.
    """
    found = []
    for name in project.config.get("services") or {}:
        prefix = f"services.{name}."
        for each in privileges(project.config):
            key = each.removeprefix(prefix).partition(":")[0]
            # What is mounted is looked at above.
            if each.startswith(prefix) and key != "volumes" and key_of(key).arms is Arms.BOTH:
                found.append(f"{each}: it reaches the machine; remove it")
    return found


def of_build(build: Mapping[str, Any]) -> list[str]:
    """
    What keeps an image from being built here.
    """
    return list(_of_build(build))


def _of_mounts(mounts: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for each in mounts:
        if each.get("type") != "bind":
            continue
        source = Path(each["source"])
        if is_sensitive(str(source), writable=False):
            yield f"{source} reaches the machine; remove the mount"
        elif not source.is_relative_to(STACK_IN_LAB):
            yield (
                f"{_shown(source)} is not below the folder of the Compose file, and the lab has "
                f"nothing else of the machine: copy it there, and mount the copy"
            )
        elif not source.exists():
            yield f"there is no {_shown(source)}; make it, or remove the mount"


def _shown(path: Path) -> str:
    """
    A path as the user sees it: relative to the folder, of which the lab has nothing above.
    """
    if not path.is_relative_to(STACK_IN_LAB.parent):
        return str(path)
    shown = os.path.relpath(path, STACK_IN_LAB)
    return shown if shown.startswith("..") else f"./{shown}"


def _of_build(build: Mapping[str, Any]) -> Iterator[str]:
    for key, value in build.items():
        if value and key not in TO_BUILD | FOR_OTHERS:
            yield f"{key}: the builder of the lab does not know it; {BUILD_IT_YOURSELF}"
    context = Path(build["context"])
    if not context.is_relative_to(STACK_IN_LAB):
        yield (
            f"context: {_shown(context)} is not below the folder of the Compose file; move that "
            f"file up, or {BUILD_IT_YOURSELF}"
        )
    elif dockerfile_of(build) is None:
        yield f"dockerfile: there is no {_shown(context / dockerfile_name(build))}"


BUILD_IT_YOURSELF = (
    "build the image with `docker compose build`, and put its archive by `docker save` into images/"
)


def dockerfile_name(build: Mapping[str, Any]) -> str:
    """
    The name of the Dockerfile below the context.
    """
    return build.get("dockerfile") or "Dockerfile"


def dockerfile_of(build: Mapping[str, Any]) -> str | None:
    """
    The text of the Dockerfile of a ``build`` table; None if there is none.
    """
    if build.get("dockerfile_inline"):
        return str(build["dockerfile_inline"])
    try:
        return (Path(build["context"]) / dockerfile_name(build)).read_text(errors="replace")
    except OSError:
        return None


FROM = re.compile(r"FROM\s+(?:--platform=\S+\s+)?(\S+)(?:\s+AS\s+(\S+))?\s*", re.IGNORECASE)
ARG = re.compile(r"ARG\s+(\w+)=[\"']?([^\"'\s]*)[\"']?\s*", re.IGNORECASE)
VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?::-([^}]*))?\})")


def bases(build: Mapping[str, Any]) -> list[str]:
    """
    The images on which the Dockerfile of a ``build`` table builds, by their full names.
    """
    stages = {"scratch"}
    values: dict[str, str] = {}
    found = []
    for line in (dockerfile_of(build) or "").splitlines():
        if (given := ARG.fullmatch(line.strip())) and len(stages) == 1:
            values[given[1]] = str((build.get("args") or {}).get(given[1], given[2]))
        if stage := FROM.fullmatch(line.strip()):
            name = VARIABLE.sub(
                lambda each: values.get(each[1] or each[2], each[3] or ""), stage[1]
            )
            if name.lower() not in stages:
                found.append(full_name(name))
            stages.add((stage[2] or f" {len(stages)}").lower())
    return list(dict.fromkeys(found))


def memory_bytes() -> int:
    """
    The memory of this machine.
    """
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return 0


def _of_memory(tables: Mapping[str, Any], most: int) -> list[str]:
    """
    The services with a limit of memory, if the machine has less than they may take together.
    """
    limits = {}
    for name, table in tables.items():
        resources = ((table.get("deploy") or {}).get("resources") or {}).get("limits") or {}
        limit = int(resources.get("memory") or table.get("mem_limit") or 0)
        if limit > 0:
            limits[name] = limit * replicas(table)
    total = sum(limits.values())
    if total <= most:
        return []
    each = ", ".join(f"{name} {size / 2**30:.1f}" for name, size in limits.items())
    msg = (
        f"services.{next(iter(limits))}.mem_limit: all limits together are {total / 2**30:.1f} GiB "
        f"({each}), and the machine has {most / 2**30:.1f} GiB; lower them, or use a larger machine"
    )
    return [msg]


def with_file(project: ComposeProject, text: str) -> ComposeProject:
    """
    The project with a further Compose file.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        return resolve([*project.files, Path(file.name)], [], project.variables)


def _of_values(project: ComposeProject) -> list[str]:
    """
    What raw namespaces say of the values, after the generated override file of every variant.
    """
    try:
        measured = with_file(project, overrides(project.config)[ALWAYS])
    except BridgetollError as error:
        return [str(error)]
    config = dict(measured.config)
    config["services"] = {
        name: {key: value for key, value in table.items() if key_of(key).arms is not Arms.REFUSED}
        for name, table in measured.config["services"].items()
    }
    known = dataclasses.replace(measured, config=config)
    found = []
    for read in (lambda: services(known, lambda _name: UNKNOWN_IMAGE), lambda: networks(known)):
        try:
            read()
        except BridgetollError as error:
            found += str(error).splitlines()
    return found
