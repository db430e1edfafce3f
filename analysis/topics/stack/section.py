"""
What a user's stack consists of, and the changes to it in the order of what they save.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.formatting import count, percent, sentence, table, time_difference
from analysis.statistics.verdicts import Kind
from experiments.declare.stack import OVERRIDES, OVERRIDES_FOLDER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analysis.findings import Findings
    from analysis.topics.recommendations.findings import Change
    from experiments.declare.stack import Stack

DAEMON_SETTING = '`"userland-proxy": false` in Docker\'s `daemon.json`'
DIRECT = "let clients use the container's own address"


def stack(findings: Findings) -> str:
    """
    The project's files, images and keys; empty for this project's own stack.
    """
    project = findings.manifest.stack
    if project is None:
        return ""
    images = [
        [f"`{each.name}`", ", ".join(each.services), each.source, f"`{each.digest[7:19]}`"]
        for each in project.images
    ]
    keys = [
        [f"`{each.key}`", ", ".join(each.services), each.arms, each.about] for each in project.keys
    ]
    notes = "\n".join(f"- {each}" for each in project.notes)
    parts = [
        f"## The stack {project.name}",
        (
            f"The Compose project of {_listed(project)}, unchanged, with configuration sha256 "
            f"`{project.configuration_sha256[:16]}`. Requests go to service "
            f"{findings.manifest.workload.entry_service} at port "
            f"{findings.manifest.workload.entry_port}."
        ),
        table(["Image", "Services", "Source", "Digest"], images),
        "What honours each key of the services:",
        table(["Key", "Services", "Arms", "How, and what it means for the comparison"], keys),
        notes,
    ]
    return "\n\n".join(part for part in parts if part)


def _listed(project: Stack) -> str:
    return ", ".join(f"`{name}`" for name in project.files)


def in_this_order(findings: Findings) -> str:
    """
    The changes that save time, the largest first; then those for which nothing was shown.
    """
    project = findings.manifest.stack
    if project is None or not findings.changes:
        return ""
    measured = [each for each in findings.changes if each.comparison.relative is not None]
    faster = sorted(
        (each for each in measured if each.comparison.verdict.kind is Kind.FASTER), key=_estimate
    )
    levels = findings.manifest.levels
    lines = [
        f"{number}. **{sentence(each.comparison.name)}**: {_saves(each)}. "
        f"{sentence(_how(each, levels))}. {_price(each)}"
        for number, each in enumerate(faster, start=1)
    ]
    others = [each for each in findings.changes if each not in faster]
    rest = [f"- {_unshown(each)}" for each in others]
    return "\n\n".join(
        part
        for part in [
            f"## For the stack {project.name}, in this order",
            (
                "Each change was measured alone, against Docker as your files have it. Savings do "
                "not add up."
                if lines
                else "No saving was shown for any change."
            ),
            "\n".join(lines),
            "No saving was shown for:" if rest and lines else "",
            "\n".join(rest),
            (
                f"The override files are in `{OVERRIDES_FOLDER}/` of this run's folder. Copy one "
                "beside your Compose file, and give it with a further `--file`."
            ),
        ]
        if part
    )


def _estimate(change: Change) -> float:
    relative = change.comparison.relative
    return relative.estimate if relative else 0.0


def _saves(change: Change) -> str:
    difference = change.comparison.difference
    return f"time per request {time_difference(difference)}" if difference else "not measured"


def _unshown(change: Change) -> str:
    each = change.comparison
    if each.relative is None:
        return f"{each.name}: no block has both arms"
    blocks = count(each.difference.blocks, "block") if each.difference else ""
    return f"{each.name}: {percent(each.relative)} ({each.verdict.kind.value}, {blocks})"


def _how(change: Change, levels: Mapping[str, Mapping[str, str]]) -> str:
    """
    What to do for a change, from the levels in which its arms differ.
    """
    before, after = (
        levels[name] for name in (change.comparison.baseline, change.comparison.treatment)
    )
    changed = {name: level for name, level in after.items() if before.get(name) != level}
    words = [
        f"use `{OVERRIDES_FOLDER}/{OVERRIDES[name][level]}`"
        for name, level in changed.items()
        if level in OVERRIDES.get(name, {})
        # The host network brings the others with it.
        and not (name == "discovery" and "network" in changed)
    ]
    if changed.get("userland_proxy") == "off":
        words.append(f"set {DAEMON_SETTING}")
    if changed.get("entry") == "direct" and "network" not in changed:
        words.append(DIRECT)
    return ", and ".join(words) or "see the variant"


def _price(change: Change) -> str:
    lost = "; ".join(change.gives_up)
    return f"You give up: {lost}." if lost else ""
