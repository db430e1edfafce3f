"""
Endurance: one long run of tiny loads, and what it holds after each block.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from experiments.paths import PROJECT
from experiments.processes import Process
from tests.soak.host import groups
from tests.soak.processes import Tree

if TYPE_CHECKING:
    from collections.abc import Sequence

BLOCK_LIMIT_S = 120.0

FLAT = {
    "runner_kb": ("kB of memory of the runner", 40.0),
    "runner_files": ("open files of the runner", 0.0),
    "lab_processes": ("processes", 0.0),
    "groups": ("control groups", 0.0),
    "mounts": ("mounts in the lab", 0.0),
    "scratch_kb": ("kB in the lab's scratch file system", 1.0),
}
"""
Each figure with its words, and the growth per block that is allowed beside none at all.

The runner keeps the records of all trials, which are some kB each.
"""


def endure(blocks: int, folder: Path) -> list[dict[str, Any]]:
    """
    A sample after each block of a run of so many blocks.
    """
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-u", "-m", "experiments", "--owner", str(Process.of(os.getpid()))]
    command += ["measure", "--results", str(folder), "--variants", "netns", "--minutes", "600"]
    command += ["--machine", "local", "--workload", "fixed", "--requests", "20", "--rounds", "1"]
    command += ["--warmup-requests", "0", "--blocks", str(blocks)]
    samples: list[dict[str, Any]] = []
    with subprocess.Popen(
        command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        tree = Tree(process.pid)
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("block "):
                samples.append(sample(tree, len(samples) + 1))
                if len(samples) % 25 == 0:
                    print(samples[-1], flush=True)
    if process.returncode:
        msg = f"the run ended with status {process.returncode} after {len(samples)} blocks"
        raise RuntimeError(msg)
    shutil.rmtree(folder)
    return samples


def sample(tree: Tree, block: int) -> dict[str, Any]:
    """
    What the run holds at the beginning of a block, when nothing is deployed.
    """
    living = tree.look()
    runner = next(each.process.pid for each in living if each.role == "runner")
    proc = Path(f"/proc/{runner}")
    status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
    scratch = os.statvfs(proc / "root")
    return {
        "block": block,
        "at": time.time(),
        "runner_kb": int(status["VmRSS"].split()[0]),
        "runner_files": len(list((proc / "fd").iterdir())),
        "lab_processes": len(living),
        "groups": len(groups()),
        "mounts": len((proc / "mountinfo").read_text().splitlines()),
        "scratch_kb": (scratch.f_blocks - scratch.f_bfree) * scratch.f_frsize // 1024,
    }


def endurance_table(samples: Sequence[dict[str, Any]]) -> tuple[str, bool]:
    """
    The growth of each figure over the second half of the run, and whether all are flat.

    A figure is flat if the 95 % confidence interval of its slope includes zero, or if its growth
    per block is within the stated bound.
    """
    half = samples[len(samples) // 2 :]
    lines = [
        f"| last {len(half)} of {len(samples)} blocks | first | last | each | allowed | flat |",
        "|---|--:|--:|--:|--:|---|",
    ]
    whole = True
    for name, (words, allowed) in FLAT.items():
        values = np.array([each[name] for each in half], dtype=float)
        slope, margin = growth(values)
        flat = slope - margin <= 0 or slope <= allowed
        whole = whole and flat
        lines.append(
            f"| {words} | {values[0]:g} | {values[-1]:g} | {slope:.3g} ± {margin:.2g} | "
            f"{allowed:g} | {'yes' if flat else 'NO'} |"
        )
    return "\n".join(lines), whole


def growth(values: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[float, float]:
    """
    The slope per block, and the half-width of its 95 % confidence interval.
    """
    if np.ptp(values) == 0:
        return 0.0, 0.0
    fit = stats.linregress(np.arange(len(values)), values)
    return float(fit.slope), float(stats.t.ppf(0.975, len(values) - 2) * fit.stderr)
