"""
What a user's Compose project needs, as Compose reads it: ``python -m experiments.run.survey``.

It runs in the lab, because Compose is there, and writes ``stack/survey.json`` into the run's
folder for the host. Values of environment variables are replaced by their digests.
"""

from __future__ import annotations

import copy
import hashlib
import ipaddress
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __name__ == "__main__":
    # Before the other imports, which take a second.
    from experiments.interrupts import end_at_ctrl_c

    end_at_ctrl_c()

from experiments.deployments.compose import resolve
from experiments.deployments.compose_keys import SERVICE_KEYS, key_of
from experiments.deployments.compose_services import image_name
from experiments.errors import BridgetollError, ComposeError
from experiments.lab.docker_layout import full_name, image_names, stored_image
from experiments.paths import IMAGE_STORE_IN_LAB, RUN_IN_LAB, STACK_IN_LAB, STACK_STORE_IN_LAB
from experiments.records.folder import write
from experiments.run.refusals import bases, of_build, reaching, refusals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from experiments.deployments.compose import ComposeProject

SURVEY = "stack/survey.json"
SECRET = ("environment", "args")
"""Keys of a service, or of its build, whose values may be secrets."""


def survey(name: str, files: Sequence[str]) -> dict[str, Any]:
    """
    The resolved project without secrets, its keys, and the images that the userland's store has.

    Raises ComposeError, with the message of Compose, for files that it refuses.
    """
    project = read(name, [STACK_IN_LAB / file for file in files])
    name = project.config["name"]
    whole = json.dumps(project.config, sort_keys=True).encode()
    services = project.config.get("services") or {}
    if not services:
        msg = "the project has no services; one with `profiles` needs COMPOSE_PROFILES in .env"
        raise ComposeError(msg)
    return {
        "config": without_secrets(project.config),
        "configuration_sha256": hashlib.sha256(whole).hexdigest(),
        "keys": keys(services),
        "outside": outside(project.config),
        "refused": refusals(project),
        "reaching": reaching(project),
        "builds": {
            service: {"bases": bases(each["build"]), "refused": of_build(each["build"])}
            for service, each in services.items()
            if each.get("build")
        },
        "images": {
            service: full_name(image_name(name, service, each.get("image") or ""))
            for service, each in services.items()
        },
        "in_userland": sorted(image_names(IMAGE_STORE_IN_LAB)),
        "stored": stored(STACK_STORE_IN_LAB if STACK_STORE_IN_LAB.exists() else IMAGE_STORE_IN_LAB),
    }


def read(name: str, files: Sequence[Path]) -> ComposeProject:
    """
    The project, under the name that its files give it, or else the one from its folder.
    """
    project = resolve(files, [])
    if project.config["name"] != STACK_IN_LAB.name:
        return project
    return resolve(files, [], {"COMPOSE_PROJECT_NAME": name})


def stored(store: Path) -> dict[str, dict[str, Any]]:
    """
    What is to be known of every image in a store, by its names.

    ``ports`` are the exposed TCP ports; ``checked`` says that it has a health check.
    """
    found = {}
    for name in image_names(store):
        image = stored_image(store, name)
        defaults = image.configuration.get("config") or {}
        exposed = defaults.get("ExposedPorts") or {}
        check = (defaults.get("Healthcheck") or {}).get("Test")
        found[name] = {
            "digest": image.digest,
            "checked": check not in (None, [], ["NONE"]),
            "architecture": image.configuration.get("architecture"),
            "ports": sorted(
                int(each.removesuffix("/tcp")) for each in exposed if each.endswith("/tcp")
            ),
        }
    return found


AUTHORITY = re.compile(r"[a-z][a-z0-9+.-]*://(?:[^/@\s]*@)?([A-Za-z0-9.-]+)")
"""The host of a URL; see RFC 3986, section 3.2."""


def outside(config: Mapping[str, Any]) -> list[str]:
    """
    The hosts outside of the project that services have in URLs, each with its place.
    """
    services = config.get("services") or {}
    known = {"localhost"}
    for name, service in services.items():
        known |= {name, service.get("container_name"), service.get("hostname")}
        known |= {re.split("[=:]", entry)[0] for entry in service.get("extra_hosts") or []}
        for network in (service.get("networks") or {}).values():
            known |= set((network or {}).get("aliases") or [])
    found = []
    for name, service in services.items():
        places = {f"environment.{key}": v for key, v in (service.get("environment") or {}).items()}
        for key in ("command", "entrypoint"):
            places |= {key: " ".join(map(str, service.get(key) or []))}
        for place, value in places.items():
            hosts = sorted(set(AUTHORITY.findall(str(value))) - known)
            found += [
                f"services.{name}.{place} names {host}" for host in hosts if not is_address(host)
            ]
    return found


def is_address(host: str) -> bool:
    """
    Whether a host is an IP address.
    """
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def without_secrets(config: Mapping[str, Any]) -> dict[str, Any]:
    """
    A configuration with digests in place of what may be a secret.
    """
    found = copy.deepcopy(dict(config))
    for service in (found.get("services") or {}).values():
        for table in (service, service.get("build") or {}):
            for key in SECRET:
                values = table.get(key) or {}
                for name, value in values.items():
                    digest = hashlib.sha256(str(value).encode()).hexdigest()
                    values[name] = f"sha256:{digest}"
    return found


def keys(services: Mapping[str, Any]) -> list[dict[str, Any]]:
    """
    The keys that the services have, in the order of the table, and what honours each.
    """
    used: dict[str, list[str]] = {}
    for name, service in services.items():
        for key, value in service.items():
            if value not in (None, [], {}, "", False):
                used.setdefault(key, []).append(name)
    known = [*SERVICE_KEYS, *(each for each in used if each not in SERVICE_KEYS)]
    return [
        {"key": key, "services": used[key], "arms": key_of(key).arms, "about": key_of(key).about}
        for key in known
        if key in used
    ]


def main(arguments: Sequence[str]) -> int:
    """
    Write the survey of a project: the name of its folder, its folder, then its Compose files.
    """
    name, folder, *files = arguments
    try:
        found = survey(name, files)
    except BridgetollError as error:
        print(f"error: {error}".replace(str(STACK_IN_LAB), folder), file=sys.stderr)
        return error.exit_status
    write(Path(RUN_IN_LAB), SURVEY, json.dumps(found).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
