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
    from collections.abc import Iterator, Sequence

KEPT_KB = 40.0
"""What the runner may keep of a block: the records of its trials."""

FIGURES = {
    "runner_kb": ("memory of the runner, kB", KEPT_KB),
    "owners_kb": ("memory of the host command and the keeper, kB", 0.0),
    "open_files": ("open files of all three", 0.0),
    "processes": ("processes", 0.0),
    "groups": ("control groups", 0.0),
    "mounts": ("mounts in the lab", 0.0),
    "lab_kb": ("files in the lab's memory, kB", 0.0),
    "results_kb": ("results on the disk, kB", float("inf")),
}
"""Each figure with its words, and the growth per block that its purpose needs."""

VARIANTS = """\
[variants.netns-in-each]
about = "raw network namespaces"
like = "netns"

[variants.docker-in-a-fourth]
about = "Docker Compose, in every fourth block"
like = "docker-as-published"
every = 4
"""
"""A variants file: bringing Docker up takes most of a block's time."""

SEGMENTS = 10
"""Of the second half of a run; what one shows depends little on the next."""


def endure(blocks: int, folder: Path) -> Iterator[dict[str, Any]]:
    """
    A sample at the beginning of each block of a run of so many blocks.

    Raises RuntimeError if the run fails. Its folder is kept then, and if not all is asked for.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "variants.toml"
    file.write_text(VARIANTS)
    command = [sys.executable, "-u", "-m", "experiments", "--owner", str(Process.of(os.getpid()))]
    command += ["measure", "--results", str(folder), "--machine", "local", "--minutes", "600"]
    command += ["--variants-file", str(file), "--variants", "netns-in-each,docker-in-a-fourth"]
    command += ["--workload", "fixed", "--requests", "20", "--warmup-requests", "0"]
    command += ["--rounds", "1", "--blocks", str(blocks)]
    done = 0
    with subprocess.Popen(
        command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        tree = Tree(process.pid)
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if line.startswith("block "):
                    done += 1
                    yield sample(tree, folder, done)
        finally:
            if done < blocks:
                process.terminate()
    if process.returncode:
        msg = f"the run ended with status {process.returncode} after {done} blocks"
        raise RuntimeError(msg)
    shutil.rmtree(folder)


def sample(tree: Tree, folder: Path, block: int) -> dict[str, Any]:
    """
    What the run holds at the beginning of a block, when nothing is deployed.
    """
    living = tree.look()
    of = {each.role: each.process.pid for each in living}
    lasting = [of[role] for role in ("runner", "host command", "keeper")]
    files = [path.lstat() for path in folder.rglob("*")]
    return {
        "block": block,
        "at": time.time(),
        "runner_kb": memory_kb(lasting[0]),
        "owners_kb": sum(map(memory_kb, lasting[1:])),
        "open_files": sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in lasting),
        "processes": len(living),
        "groups": len(groups()),
        "mounts": len(Path(f"/proc/{lasting[0]}/mountinfo").read_text().splitlines()),
        "lab_kb": lab_kb(lasting[0]),
        "results_kb": sum(each.st_blocks for each in files) // 2,
    }


def memory_kb(pid: int) -> int:
    """
    The memory of a process that is in use and its own.
    """
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(dict(line.split(":", 1) for line in lines)["RssAnon"].split()[0])


def lab_kb(pid: int) -> int:
    """
    What the file systems in memory hold that a process of the lab sees; its root is one of them.
    """
    root = f"/proc/{pid}/root"
    lines = Path(f"/proc/{pid}/mountinfo").read_text().splitlines()
    points = {
        line.split(" ")[2]: line.split(" ")[4]
        for line in lines
        if line.partition(" - ")[2].startswith(("tmpfs ", "overlay "))
    }
    found = [os.statvfs(f"{root}{point}") for point in points.values()]
    return sum((each.f_blocks - each.f_bfree) * each.f_frsize for each in found) // 1024


def endurance_table(samples: Sequence[dict[str, Any]]) -> tuple[str, bool]:
    """
    The growth of each figure over the second half of the run, and whether all are flat.

    A figure is flat unless the 95 % confidence interval of its growth per block lies above what
    its purpose needs.
    """
    half = samples[len(samples) // 2 :]
    lines = [
        f"| last {len(half)} of {len(samples)} blocks | first | last | per block | flat |",
        "|---|--:|--:|--:|---|",
    ]
    whole = True
    for name, (words, needed) in FIGURES.items():
        values = np.array([each[name] for each in half], dtype=float)
        slope, margin = growth(values)
        flat = slope - margin <= needed
        whole = whole and flat
        lines.append(
            f"| {words} | {values[0]:g} | {values[-1]:g} | {slope:.2g} ± {margin:.2g} | "
            f"{'yes' if flat else 'NO'} |"
        )
    return "\n".join(lines), whole


def growth(values: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[float, float]:
    """
    The slope per block, and the half-width of its 95 % confidence interval.

    Through the least value of each segment: a sample may come when the next block has begun, and
    what a process holds after one block depends on the one before.
    """
    segments = np.array_split(np.arange(len(values)), min(SEGMENTS, len(values)))
    least = [values[each].min() for each in segments]
    if np.ptp(least) == 0:
        return 0.0, 0.0
    fit = stats.linregress([each.mean() for each in segments], least)
    return float(fit.slope), float(stats.t.ppf(0.975, len(segments) - 2) * fit.stderr)
