"""
Fills an image store from archives and Dockerfiles: runs in the lab, once per stack, pulls nothing.

``python -m experiments.run.stack_images TASK``; the task is JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __name__ == "__main__":
    # Before the other imports, which take a second.
    from experiments.interrupts import end_at_ctrl_c

    end_at_ctrl_c()

from experiments.commands import run_command
from experiments.deployments.compose import resolve
from experiments.errors import BridgetollError, HostError
from experiments.lab.image import STORE, filling
from experiments.paths import STACK_IN_LAB
from experiments.run.refusals import BUILD_IT_YOURSELF

if TYPE_CHECKING:
    from collections.abc import Mapping

LOAD_TIMEOUT_S = 900
BUILD_TIMEOUT_S = 1800
ARCHIVES_IN_LAB = "/srv/archives"


def fill(task: Mapping[str, Any]) -> None:
    """
    Load ``archives``, then build the images of the services ``builds``, by their images' names.

    ``name`` and ``files`` are those of the Compose project.

    Raises HostError with Docker's words for an archive or a Dockerfile that it refuses.
    """
    with filling(Path(STORE)) as daemon:
        docker = ["docker", "--host", daemon.socket]
        for archive in task["archives"]:
            print(f"images: loading {archive}", flush=True)
            load = [*docker, "load", "--input", f"{ARCHIVES_IN_LAB}/{archive}"]
            ended = run_command(load, limit_s=LOAD_TIMEOUT_S)
            if not ended.ok:
                raise HostError(ended.failure(f"loading {archive}"))
        for image, table in builds_of(task).items():
            print(f"images: building {image} without a network", flush=True)
            build = [*docker, "build", "--network", "none", "--tag", image, *build_words(table)]
            ended = run_command(build, limit_s=BUILD_TIMEOUT_S, merge=True)
            if not ended.ok:
                how = ended.failure(f"building {image} without a network")
                msg = f"{how}\nIf it needs a network, {BUILD_IT_YOURSELF}"
                raise HostError(msg)


def builds_of(task: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """
    The ``build`` tables of the images to build, read again, because the host has no secrets.
    """
    if not task["builds"]:
        return {}
    files = [STACK_IN_LAB / file for file in task["files"]]
    project = resolve(files, [], {"COMPOSE_PROJECT_NAME": task["name"]})
    return {
        image: project.config["services"][service]["build"]
        for image, service in task["builds"].items()
    }


def build_words(table: Mapping[str, Any]) -> list[str]:
    """
    The options of ``docker build`` for a ``build`` table, and its context.
    """
    context = Path(table["context"])
    words = ["--file", str(context / (table.get("dockerfile") or "Dockerfile"))]
    words += ["--target", table["target"]] if table.get("target") else []
    for name, value in (table.get("args") or {}).items():
        words += ["--build-arg", f"{name}={value}"]
    return [*words, str(context)]


if __name__ == "__main__":
    try:
        fill(json.loads(sys.argv[1]))
    except BridgetollError as error:
        sys.exit(f"error: {error}")
