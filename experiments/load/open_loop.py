"""
The open loop: requests are sent by a schedule, regardless of earlier answers.

A closed loop such as ab's sends the next request after an answer. While the stack stalls, it sends
nothing, and the requests that would have waited are missing from the latencies: coordinated
omission (Gil Tene, "How NOT to Measure Latency"; wrk2's README). Here the starts are drawn before
the load, with exponential gaps as of independent users. Latency counts from the intended start, so
requests that a stall delayed count in full.

The project has its own client (``open_client.py``). h2load can send by a schedule too, but restarts
its ``--timing-script`` with every connection, and with ``--rps`` sends at once after reconnecting
(src/h2load.cc, ``Client::connection_made``, through 1.69); Flask's server and gunicorn's sync
worker close the connection after every answer.
"""

from __future__ import annotations

import csv
import json
import os
import random
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from experiments.commands import run_command
from experiments.errors import LoadError, TooSlowError
from experiments.lab.launch import launch_command
from experiments.load import killed
from experiments.load.open_client import HEADER, NO_ANSWER
from experiments.paths import PROJECT
from experiments.records.trials import OpenLoad

if TYPE_CHECKING:
    from pathlib import Path

    from experiments.declare.workloads import Workload
    from experiments.load import Client

CONNECTIONS = 512
"""
The maximum of concurrent requests; below the usual 1024 open files, and above any backlog.
"""

GRACE_S = 20.0
"""The time that the client may take beyond its limit, to start and to write its log."""

LARGEST_US = 2**53
"""No time in a log is later."""


@dataclass(frozen=True)
class OpenPlan:
    """
    One load of the open loop: ``requests`` requests at a mean rate, within ``limit_s`` seconds.

    The same rate, number and ``seed`` give the same schedule. ``fraction`` is the rate as a share
    of the trial's capacity, or None for the common rate. At most ``connections`` requests are under
    way; a further one is sent late, and counts from its intended start. A request without an answer
    at the limit has failed. Good answers have ``length`` bytes, if that is known.
    """

    address: str
    workload: Workload
    rate_per_s: float
    requests: int
    seed: str
    limit_s: float
    fraction: float | None
    connections: int = CONNECTIONS
    length: int | None = None

    @property
    def name(self) -> str:
        """
        The name of its files: ``open-030`` for 30 % of the capacity, or ``open-common``.
        """
        if self.fraction is None:
            return "open-common"
        return f"open-{round(self.fraction * 100):03d}"


def schedule_us(rate_per_s: float, requests: int, seed: str) -> list[int]:
    """
    The intended starts in microseconds since the start of the load: a Poisson process.

    Gaps are exponential with a mean of ``1 / rate_per_s``, including the one before the first
    request. The same arguments give the same starts. Raises ValueError if the rate is not positive.
    """
    if rate_per_s <= 0:
        msg = f"a schedule needs a rate above 0 per second, not {rate_per_s}"
        raise ValueError(msg)
    generator = random.Random(seed)  # noqa: S311 - a simulation of users, no secret
    at_s = 0.0
    starts = []
    for _ in range(requests):
        at_s += generator.expovariate(rate_per_s)
        starts.append(round(at_s * 1e6))
    return starts


class OpenLoop:
    """
    The adapter for ``open_client.py``.
    """

    def run(self, plan: OpenPlan, client: Client, directory: Path, run: Path) -> OpenLoad:
        """
        Run one load; schedule, log and output stay in ``directory``, which is in ``run``.

        The result names the log by its path in ``run``. Raises LoadError if the client fails,
        hangs, or logs something else than the plan.
        """
        directory, run = directory.resolve(), run.resolve()
        log = directory / f"{plan.name}.csv"
        text_file = directory / f"{plan.name}.txt"
        command = launch_command(
            client.group, client.network_namespace_path, self._command(plan, directory, log)
        )
        limit_s = plan.limit_s + GRACE_S
        environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
        kills = client.group.memory_kills()
        ended = run_command(command, limit_s=limit_s, environment=environment, merge=True)
        text_file.write_bytes(ended.output)
        if ended.status is None:
            msg = (
                f"the open loop did not finish {plan.requests} requests to {plan.address} within "
                f"{limit_s:.0f} s and was ended; its output so far is in {text_file.name}"
            )
            raise TooSlowError(msg)
        if ended.status < 0:
            raise LoadError(killed("the open loop", ended, client.group.memory_kills() - kills))
        if not ended.ok:
            last_line = ended.last_words.rpartition("\n")[2]
            msg = (
                f"the open loop ended with status {ended.status}: {last_line}; its whole "
                f"output is in {text_file.name}"
            )
            raise LoadError(msg)
        return result_of(log, plan, log.relative_to(run).as_posix())

    def _command(self, plan: OpenPlan, directory: Path, log: Path) -> list[str]:
        schedule = directory / f"{plan.name}-schedule.txt"
        starts = schedule_us(plan.rate_per_s, plan.requests, plan.seed)
        schedule.write_text("".join(f"{start}\n" for start in starts))
        command = [sys.executable, "-m", "experiments.load.open_client"]
        workload = directory / f"{plan.name}-workload.json"
        workload.write_text(json.dumps(asdict(plan.workload)))
        command += ["--address", plan.address, "--workload", str(workload)]
        if plan.length is not None:
            command += ["--length", str(plan.length)]
        command += ["--schedule", str(schedule), "--log", str(log)]
        command += ["--connections", str(plan.connections), "--limit-s", str(plan.limit_s)]
        return command


def result_of(log: Path, plan: OpenPlan, name: str) -> OpenLoad:
    """
    The result of a load from its log; ``name`` is the log's path in the run.

    A request is completed if its answer is complete, whatever its status. Raises LoadError if the
    log is missing or invalid, or has another number of requests than the plan.
    """
    requests = completed = ok = latest_us = 0
    began_us = ended_us = 0
    try:
        with log.open(encoding="ascii", newline="") as file:
            rows = csv.reader(file)
            if next(rows, []) != HEADER.split(","):
                msg = f"{log} is no log of the open loop: it does not begin with {HEADER}"
                raise LoadError(msg)
            for row in rows:
                intended_us, sent_us, done_us, status, good = map(int, row)
                if not 0 <= intended_us <= sent_us <= done_us <= LARGEST_US:
                    msg = f"it was to start at {intended_us}, did at {sent_us}, ended at {done_us}"
                    raise ValueError(msg)  # noqa: TRY301 - reported below, with the file's name
                if not requests:
                    began_us = intended_us
                requests += 1
                latest_us = max(latest_us, sent_us - intended_us)
                if status != NO_ANSWER:
                    completed += 1
                    ok += good
                    ended_us = max(ended_us, done_us)
    except OSError as error:
        msg = f"the open loop wrote no log: {error}"
        raise LoadError(msg) from error
    except ValueError as error:
        msg = f"{log}, request {requests + 1}, is not five numbers in order: {error}"
        raise LoadError(msg) from error
    if requests != plan.requests:
        msg = f"{log} has {requests} requests, but the plan has {plan.requests}"
        raise LoadError(msg)
    return OpenLoad(
        fraction=plan.fraction,
        rate_per_s=plan.rate_per_s,
        requests=plan.requests,
        requests_completed=completed,
        requests_ok=ok,
        achieved_per_s=completed * 1e6 / max(1, ended_us - began_us) if completed else 0.0,
        latest_us=latest_us,
        log=name,
    )
