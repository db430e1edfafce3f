"""
A user's Compose project before a run: what it needs, where that comes from, and the overrides.
"""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

from experiments.declare.stack import HOST, OVERRIDES_FOLDER, KeyUse, StackImage
from experiments.errors import UsageError
from experiments.host.archives import architecture, archives_in, host_image
from experiments.plan.fit import leave_out
from experiments.plan.overrides import clashes, limited, overrides, replicas
from experiments.records.folder import opened, remove, write

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from experiments.declare.stack import Stack
    from experiments.declare.workloads import Workload
    from experiments.machines import Archive, Machine
    from experiments.records.manifest import Manifest

SURVEY = f"{OVERRIDES_FOLDER}/survey.json"
IMAGES_FOLDER = "images"
"""The folder beside the Compose file with archives of images."""

REFUSED = "refused"


def plan_stack(machine: Machine, run: Path, manifest: Manifest) -> Manifest:
    """
    The manifest of a run of a user's stack, whose images are then in the cache.

    Prints what the stack needs and what honours it. Raises UsageError, before anything is started,
    for what cannot be measured.
    """
    stack = manifest.stack
    if stack is None:
        return manifest
    print(f"stack {stack.name}: reading {', '.join(stack.files)}", flush=True)
    found = surveyed(machine, run, stack)
    config = found["config"]
    workload = entry_of(manifest.workload, config)
    stack = dataclasses.replace(
        stack,
        name=config["name"],
        configuration_sha256=found["configuration_sha256"],
        keys=tuple(
            KeyUse(each["key"], tuple(each["services"]), each["arms"], each["about"])
            for each in found["keys"]
        ),
    )
    print_keys(stack.keys)
    images, archives, builds = sources(stack, found, from_host=stack.images_from == HOST)
    for image in images:
        source = image.source or "MISSING"
        print(f"image {image.name} of {', '.join(image.services)}: {source}", flush=True)
    reasons = [] if manifest.allow_privileged else found["reaching"]
    for service in builds.values():
        reasons += [
            f"services.{service}.build.{each}" for each in found["builds"][service]["refused"]
        ]
    refuse(stack, [*found["refused"], *reasons], images)
    if archives or builds:
        store = machine.fill_store(stack, archives, builds)
        stack = dataclasses.replace(stack, store=store)
        found = surveyed(machine, run, stack)
    known = found["stored"]
    refuse_other_machines(images, known)
    images = [
        dataclasses.replace(each, digest=known[each.name]["digest"])
        for each in images
        if each.name in known
    ]
    for name, text in overrides(config, checked_by_image(found)).items():
        write(run, f"{OVERRIDES_FOLDER}/{name}", text.encode())
    if not is_published(workload, config):
        manifest = without_port(manifest)
    without = impossible_variants(manifest, config, found)
    notes = [f"{name} is left out: {why}" for name, why in without.items()]
    notes += [f"{each}: the lab has no way out, so this fails" for each in found["outside"]]
    notes += [
        f"{name} has {number} replicas: by its name, raw namespaces find the first one, and Docker "
        "any of them"
        for name, service in config["services"].items()
        if (number := replicas(service)) > 1
    ]
    print("\n".join(notes), flush=True, end="\n" if notes else "")
    stack = dataclasses.replace(stack, images=tuple(images), notes=tuple(notes))
    left = leave_out(manifest, without)
    return dataclasses.replace(
        left, stack=stack, workload=workload, environment=manifest.environment
    )


def refuse_altered(machine: Machine, run: Path, stack: Stack) -> None:
    """
    Raise UsageError if a stack is no longer what a run measured; its images are there afterwards.
    """
    found = surveyed(machine, run, dataclasses.replace(stack, store=""))
    wrong = []
    if found["configuration_sha256"] != stack.configuration_sha256:
        wrong.append(f"what Compose makes of {', '.join(stack.files)} is another configuration")
    _, archives, builds = sources(stack, found, from_host=stack.images_from == HOST)
    if archives or builds:
        store = machine.fill_store(stack, archives, builds)
        if store != stack.store:
            wrong.append("an archive, or a file of a build, is another one")
        found = surveyed(machine, run, dataclasses.replace(stack, store=store))
    for name, text in overrides(found["config"], checked_by_image(found)).items():
        with opened(run, f"{OVERRIDES_FOLDER}/{name}") as file:
            if file.read() != text.encode():
                wrong.append(f"{OVERRIDES_FOLDER}/{name} was altered")
    if wrong:
        msg = (
            f"the stack {stack.name} is not as the run measured it: {'; '.join(wrong)}. Restore "
            "that, or begin a new run"
        )
        raise UsageError(msg)


def surveyed(machine: Machine, run: Path, stack: Stack) -> dict[str, Any]:
    """
    What the lab finds out about a stack; see ``experiments.run.survey``.
    """
    machine.survey(run, stack)
    with opened(run, SURVEY) as file:
        found: dict[str, Any] = json.loads(file.read())
    remove(run, SURVEY)
    return found


def checked_by_image(found: Mapping[str, Any]) -> set[str]:
    """
    The services whose images have a health check.
    """
    return {
        service
        for service, image in found["images"].items()
        if found["stored"].get(image, {}).get("checked")
    }


def is_published(workload: Workload, config: Mapping[str, Any]) -> bool:
    """
    Whether the entry service publishes the port that is loaded.
    """
    ports = config["services"][workload.entry_service].get("ports") or []
    return any(int(each["target"]) == workload.entry_port for each in ports)


def without_port(manifest: Manifest) -> Manifest:
    """
    The same plan, with a client that goes straight to the service where no port is published.
    """
    direct = {"entry": "direct", "userland_proxy": "on"}
    variants = [
        dataclasses.replace(
            each,
            levels=each.levels | direct,
            about=f"{each.about} (no port is published, so the client goes straight to it)",
        )
        if each.levels["entry"] == "published"
        else each
        for each in manifest.variants
    ]
    return dataclasses.replace(manifest, variants=variants)


def impossible_variants(
    manifest: Manifest, config: Mapping[str, Any], found: Mapping[str, Any]
) -> dict[str, str]:
    """
    The variants that this stack cannot have, or has under another name, each with the reason.
    """
    exposed = {
        service: found["stored"].get(image, {}).get("ports", [])
        for service, image in found["images"].items()
    }
    clashing = clashes(config, exposed)
    without: dict[str, str] = {}
    seen: dict[tuple[tuple[str, str], ...], str] = {}
    for each in manifest.variants:
        same = seen.setdefault(tuple(each.levels.items()), each.name)
        if each.levels["network"] == "host" and clashing:
            without[each.name] = f"on the host network, services clash: {'; '.join(clashing)}"
        elif each.levels["limits"] == "none" and not limited(config):
            without[each.name] = "no service has a limit"
        elif same != each.name and not each.twin_of:
            without[each.name] = f"it is the same as {same}, because no port is published"
    return without


def refuse_other_machines(
    images: Iterable[StackImage], known: Mapping[str, Mapping[str, Any]]
) -> None:
    """
    Raise UsageError for images of another architecture than this machine's.
    """
    here = architecture()
    wrong = [
        f"image {each.name} of {', '.join(each.services)} is for {known[each.name]['architecture']}"
        for each in images
        if known.get(each.name, {}).get("architecture") not in {None, here}
    ]
    if wrong:
        msg = f"{'; '.join(wrong)}, and this machine is {here}: take an archive for {here}"
        raise UsageError(msg)


def entry_of(workload: Workload, config: Mapping[str, Any]) -> Workload:
    """
    The workload with its service: that of the URL's name, or the one that publishes its port.

    Raises UsageError if the URL names no service.
    """
    services = config["services"]
    name, port = workload.entry_service, workload.entry_port
    workload = dataclasses.replace(workload, services=tuple(services))
    if name in services:
        return workload
    if name in {"localhost", "127.0.0.1"}:
        for service, table in services.items():
            for each in table.get("ports") or []:
                if str(each.get("published")) == str(port):
                    return dataclasses.replace(
                        workload, entry_service=service, entry_port=int(each["target"])
                    )
        msg = f"--url: no service publishes port {port}; name the service instead of {name}"
        raise UsageError(msg)
    msg = f"--url: {name!r} is no service; the services are: {', '.join(services)}"
    raise UsageError(msg)


def print_keys(keys: Iterable[KeyUse]) -> None:
    """
    Print what honours each key of the project.
    """
    for each in keys:
        print(f"  {each.key}: {each.arms} ({each.about})", flush=True)


def refuse(stack: Stack, reasons: Iterable[str], images: Iterable[StackImage]) -> None:
    """
    Raise UsageError with everything that keeps the stack from being measured, and the remedies.

    ``reasons`` are those beside its keys and images.
    """
    wrong = [
        f"services.{service}.{each.key}: {each.about}"
        for each in stack.keys
        if each.arms == REFUSED
        for service in each.services
    ]
    wrong += reasons
    wrong += [
        f"image {each.name} of {', '.join(each.services)} is missing: make its archive with "
        f"`docker save --output {stack.folder / IMAGES_FOLDER / archive_name(each.name)} "
        f"{each.name}`, or add --images-from host if Docker on this machine has it"
        for each in images
        if not each.source
    ]
    if wrong:
        msg = "the stack cannot be measured:\n  " + "\n  ".join(wrong)
        raise UsageError(msg)


def archive_name(image: str) -> str:
    """
    The name of an image's archive.
    """
    return f"{image.replace('/', '-').replace(':', '-')}.tar"


def sources(
    stack: Stack, found: Mapping[str, Any], *, from_host: bool
) -> tuple[list[StackImage], list[Archive], dict[str, str]]:
    """
    The images of a stack, the archives to load, and the images to build, each with a service.

    With ``from_host``, what no archive has is looked for in the host's own Docker.
    """
    users: dict[str, list[str]] = {}
    for service, name in found["images"].items():
        users.setdefault(name, []).append(service)
    archived = {
        name: archive
        for archive in archives_in(stack.folder / IMAGES_FOLDER)
        for name in archive.names
    }
    builds = {
        name: services[0]
        for name, services in users.items()
        if found["config"]["services"][services[0]].get("build") and name not in archived
    }
    for service in builds.values():
        for name in found["builds"][service]["bases"]:
            users.setdefault(name, []).append(service)
    images: list[StackImage] = []
    archives: list[Archive] = []
    for name, services in users.items():
        source = ""
        if name in builds:
            build = found["config"]["services"][services[0]]["build"]
            source = f"built from {build.get('dockerfile') or 'Dockerfile'}"
        elif name in found["in_userland"] and not builds:
            source = "made from the userland"
        else:
            archive = archived.get(name)
            if archive is None and from_host:
                archive = host_image(name)
            if archive is not None:
                source = archive.source
                archives.append(archive)
        images.append(StackImage(name, tuple(services), source))
    return images, list({each.names: each for each in archives}.values()), builds
