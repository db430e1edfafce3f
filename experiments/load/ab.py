"""
ApacheBench (ab), the load generator of the published report: a single-threaded closed loop.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from experiments.commands import NOT_FOUND, run_command
from experiments.errors import LoadError, NoAnswerError, TooSlowError
from experiments.lab.launch import launch_command
from experiments.load import killed
from experiments.load.ab_output import parse, parse_percentiles
from experiments.records.ab.output import seconds_per_request
from experiments.records.trials import LoadResult

if TYPE_CHECKING:
    from pathlib import Path

    from experiments.load import Client, LoadPlan
    from experiments.records.ab.report import AbReport

TEXT_FILE = "ab.txt"
PERCENTILES_FILE = "ab-percentiles.csv"
REQUESTS_FILE = "ab-requests.tsv"
BODY_FILE = "request-body"
RESPONSE_TIMEOUT_S = 30
"""The default of ``-s``, written out because a stalled response ends the load."""


class ApacheBench:
    """
    The adapter for ``ab``; see ``experiments.load.LoadGenerator``.
    """

    name = "ab"

    def run(self, plan: LoadPlan, client: Client, directory: Path) -> LoadResult:
        """
        Run ab once and parse its report; its output stays in ``directory`` in any case.
        """
        command = self._command(plan, directory)
        kills = client.group.memory_kills()
        launched = launch_command(client.group, client.network_namespace_path, command)
        ended = run_command(launched, limit_s=plan.limit_s, merge=True)
        (directory / TEXT_FILE).write_bytes(ended.output)
        if ended.status is None:
            msg = (
                f"ab did not finish {plan.requests} requests to {plan.address} within "
                f"{plan.limit_s:.0f} s and was ended; its output so far is in {TEXT_FILE}"
            )
            raise TooSlowError(msg)
        if ended.status == NOT_FOUND:
            msg = f"the userland has no ab: {ended.last_words}; its package is apache2-utils"
            raise LoadError(msg)
        if ended.status < 0:
            # What it printed before says nothing of why.
            raise LoadError(killed("ab", ended, client.group.memory_kills() - kills))
        report = parse(ended.text)
        if not ended.ok:
            raise LoadError(ended.failure("ab"))
        try:
            percentiles = (directory / PERCENTILES_FILE).read_text()
        except OSError as error:
            msg = f"ab wrote no percentile file: {error}"
            raise LoadError(msg) from error
        return result_of(report, parse_percentiles(percentiles), plan, command)

    def times_ms(self, directory: Path) -> Counter[int]:
        """
        The number of requests by their time in whole milliseconds, connecting included.

        Raises LoadError if ab's file is missing or invalid.
        """
        path = directory / REQUESTS_FILE
        try:
            head, *rows = path.read_text().splitlines()
            column = head.split("\t").index("ttime")
            return Counter(int(row.split("\t")[column]) for row in rows)
        except (OSError, ValueError, IndexError) as error:
            msg = f"{path} does not contain the time of every request: {error}"
            raise LoadError(msg) from error

    def _command(self, plan: LoadPlan, directory: Path) -> list[str]:
        command = ["ab", "-q", "-s", str(RESPONSE_TIMEOUT_S)]
        if plan.any_length and plan.length is None:
            command.append("-l")
        command += ["-e", str(directory / PERCENTILES_FILE)]
        command += ["-g", str(directory / REQUESTS_FILE)]
        workload = plan.workload
        if workload.content is not None:
            body = directory / BODY_FILE
            body.write_bytes(workload.content)
            option = "-u" if workload.verb == "PUT" else "-p"
            command += [option, str(body), "-T", workload.content_type]
        elif workload.verb != "GET":
            command += ["-m", workload.verb]
        for name, value in workload.headers.items():
            command += ["-H", f"{name}: {value}"]
        command += ["-n", str(plan.requests), "-c", str(plan.concurrency)]
        return [*command, f"http://{plan.address}{plan.workload.path}"]


def result_of(
    report: AbReport, percentiles_ms: dict[int, float], plan: LoadPlan, command: list[str]
) -> LoadResult:
    """
    The load result of a report.

    ab rounds its figures differently; rate and mean come from the least rounded one. Raises
    LoadError if the report contradicts the plan.
    """
    if report.requests_completed > plan.requests or report.concurrency != plan.concurrency:
        msg = (
            f"ab reports {report.requests_completed} requests at concurrency "
            f"{report.concurrency}, but was given {plan.requests} at {plan.concurrency}"
        )
        raise LoadError(msg)
    mean_s = seconds_per_request(report)
    if mean_s is None or report.duration_s <= 0 or not report.requests_completed:
        msg = f"ab completed {report.requests_completed} requests in {report.duration_s} s"
        raise LoadError(msg)
    if report.bytes_transferred == 0:
        # With -l, ab counts a connection that is closed without an answer as a good answer.
        msg = f"{plan.address} closed all {report.requests_completed} connections without an answer"
        raise NoAnswerError(msg)
    failed_otherwise = report.requests_failed - report.failed_length
    wrong_length = lengths_wrong(report, plan.length)
    # An error mostly has both another status and another length, so the larger count is known bad.
    bad = failed_otherwise + max(report.responses_non_2xx, wrong_length)
    failed = report.requests_failed
    if plan.any_length and plan.length is not None:
        failed = failed_otherwise + wrong_length
    total = report.connection_times_ms.get("total", {})
    slowest_ms = percentiles_ms.get(100, total.get("max", 0.0))

    def quantile_us(percent: int) -> float:
        # ab takes the value at index 0.5 + count * percent / 100, which with few requests is beyond
        # its table (support/ab.c, output_results); it then prints a number that is no latency.
        beyond = int(0.5 + report.requests_completed * percent / 100) >= report.requests_completed
        return (slowest_ms if beyond else percentiles_ms[percent]) * 1e3

    return LoadResult(
        tool=ApacheBench.name,
        command=command,
        requests=plan.requests,
        concurrency=plan.concurrency,
        requests_completed=report.requests_completed,
        requests_failed=failed,
        requests_ok=max(0, report.requests_completed - bad),
        responses_non_2xx=report.responses_non_2xx,
        duration_s=report.duration_s,
        requests_per_second=1 / mean_s,
        latency_mean_us=plan.concurrency * mean_s * 1e6,
        latency_p50_us=quantile_us(50),
        latency_p90_us=quantile_us(90),
        latency_p99_us=quantile_us(99),
        latency_max_us=slowest_ms * 1e3,
        details=report,
    )


def lengths_wrong(report: AbReport, length: int | None) -> int:
    """
    The number of answers whose body does not have this length.

    ab compares all with the first one. If that one was wrong, those like it are wrong, and the
    number of bytes shows whether all others are right; if they are not, none is known to be right.
    """
    if length is None or report.document_length is None:
        return 0
    if report.document_length == length:
        return report.failed_length
    like_first = report.requests_completed - report.failed_length
    others_bytes = (report.bytes_html or 0) - like_first * report.document_length
    others_right = others_bytes == report.failed_length * length
    return like_first if others_right else report.requests_completed
