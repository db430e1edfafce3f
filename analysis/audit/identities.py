"""
Identities among the numbers of one output: the formulas by which ab computes one from others.

A printed number stands for every value that is printed so. An identity fails only if none of them
fits, by the rules of the version that printed the output (``versions``). Without a headline, the
rules of every version are tried.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from analysis.audit.findings import Finding, Severity
from analysis.audit.ranges import SLACK, Range, plain, same
from analysis.audit.tails import times_of, total_mean
from analysis.audit.versions import (
    ADDED_UP,
    VERSIONS,
    Version,
    adds_up,
    by_headline,
    candidates,
)

if TYPE_CHECKING:
    from experiments.records.ab.numbers import Printed
    from experiments.records.ab.output import AbOutput


Check = Callable[..., "tuple[bool | None, str]"]

OF_NO_KIND = 11
"""Failures without a kind at most: a header without an end is one, and ab gives up after these."""

BEYOND_ASKED = "beyond “Number of requests” ab prints means of several requests"

LARGEST_HEADER = 8192
"""Bytes of the longest header that ab reads (CBUFFSIZE)."""

LARGEST_INDEX = 2**31 // 99
"""Requests above which ab before 2.4.32 computes the place of a percentile with an overflow."""


@dataclass(frozen=True)
class Identity:
    """
    What must hold among the values of some labels.

    ``check`` takes the version, the output and the values. It says whether they agree, None if that
    cannot be told, with the numbers or the reason.
    """

    words: str
    labels: tuple[str, ...]
    check: Check


@dataclass(frozen=True)
class Judgement:
    """
    What the rules of one version say of an output; each identity by its words, with the numbers.
    """

    version: Version
    holding: list[str]
    failing: dict[str, str]
    lacking: dict[str, str]


def _formula(compute: Callable[..., Range]) -> Check:
    def check(
        version: Version, _: AbOutput, printed: Printed, *sources: Printed | int
    ) -> tuple[bool, str]:
        computed = compute(*map(Range.of, sources)).widened(version.relative_error)
        return computed.overlaps(Range.of(printed)), _side_by_side(printed, computed)

    return check


def _side_by_side(printed: Printed, computed: Range) -> str:
    return f"printed is {plain(printed.value)}, computed {computed}"


def _transfer(
    version: Version, _: AbOutput, printed: Printed, transferred: int, seconds: Printed
) -> tuple[bool, str]:
    computed = version.transfer_rate(transferred, Range.of(seconds))
    computed = computed.widened(version.relative_error)
    return computed.overlaps(Range.of(printed)), _side_by_side(printed, computed)


def _failures(
    version: Version, output: AbOutput, failed: int, *kinds: int
) -> tuple[bool | None, str]:
    total = sum(kinds)
    if version.kinds_per_failure == 1:
        # A failed request is counted once, and not always under a kind.
        return max(kinds) <= failed <= (output.requests_completed or failed), f"{failed} failed"
    if total < failed <= total + OF_NO_KIND:
        return None, f"{failed} failed, {total} have a kind; a header without an end has none"
    return failed == total, f"printed is {failed}, the sum {total}"


def _bodies(
    version: Version, output: AbOutput, html: int, requests: int, failed: int
) -> tuple[bool | None, str]:
    if output.document_length is None or failed:
        return None, "the length varies (-l) or is missing, or some requests failed"
    # If a time limit ends the run, the requests then under way are received in part.
    under_way = output.document_length * (output.concurrency or 0)
    computed = output.document_length * requests
    excess = html - computed
    if computed >= 2**31 and version.wraps:
        excess %= 2**32
    if 0 <= excess <= under_way:
        return True, ""
    uncounted = output.keep_alive_requests or output.write_errors or output.tls_protocol
    if excess > 0 or uncounted or not version.lengths_fail:
        return None, "answers of other lengths that are no failures may be among them"
    return False, f"printed is {html}, computed {computed}"


def _percentiles(
    _: Version, output: AbOutput, percentiles_ms: dict[int, Printed]
) -> tuple[bool | None, str]:
    if (output.requests_completed or 0) > LARGEST_INDEX:
        return None, "too many requests for the index of ab before 2.4.32"
    for (lower, low), (upper, high) in pairwise(sorted(percentiles_ms.items())):
        if low.value > high.value:
            return False, f"{lower} % is {plain(low.value)} ms, {upper} % is {plain(high.value)} ms"
    return True, ""


def _median(
    _: Version, output: AbOutput, median: Printed, line: Printed, requests: int
) -> tuple[bool | None, str]:
    if requests > LARGEST_INDEX:
        return None, "too many requests for the index of ab before 2.4.32"
    # For an odd number of requests ab prints the mean of the middle one and the next.
    longest = output.percentiles_ms.get(100, median)
    odd = output.workers is not None or requests % 2 == 1
    between = odd and line.value <= median.value <= longest.value
    return same(median, line) or between, f"{plain(median.value)} and {plain(line.value)} ms"


def _longest(_: Version, __: AbOutput, longest: Printed, line: Printed) -> tuple[bool, str]:
    return same(longest, line), f"{plain(longest.value)} and {plain(line.value)} ms"


def _longest_in_run(
    version: Version, _: AbOutput, longest: Printed, seconds: Printed
) -> tuple[bool, str]:
    run_ms = 1e3 * Range.of(seconds).high
    detail = f"{plain(longest.value)} ms in a run of {plain(1e3 * seconds.value)} ms"
    return version.request.range(longest).low <= run_ms * (1 + SLACK), detail


def _little(
    version: Version, output: AbOutput, mean: Printed, *values: Printed | int
) -> tuple[bool | None, str]:
    concurrency, seconds, requests = map(Range.of, values)
    if adds_up(output, version):
        return None, ADDED_UP
    if total_mean(output, version) is None:
        return None, "the middle column of -S is no mean in every version"
    if output.requests_asked is not None and output.requests_asked < requests.low:
        return None, BEYOND_ASKED
    most = (concurrency * seconds * 1e3 / requests).high
    return (
        version.mean.range(mean).low <= most * (1 + SLACK),
        f"printed is {plain(mean.value)} ms, at most {plain(most, 3)} ms have room",
    )


def _counts(_: Version, output: AbOutput, non_2xx: int, requests: int) -> tuple[bool, str]:
    # More may be counted while they are under way, or on connections with an exception (test).
    kept, most = output.keep_alive_requests or 0, requests + (output.concurrency or 0)
    holds = non_2xx <= most + (output.failed_exceptions or 0) and kept <= most
    return holds, f"{non_2xx} and {kept} of {requests}"


def _parts_of_all(
    version: Version, output: AbOutput, html: int, transferred: int
) -> tuple[bool | None, str]:
    requests = (output.requests_completed or 0) + (output.concurrency or 0)
    wrapped = transferred + 2**32 - html <= LARGEST_HEADER * requests
    if html > transferred and version.wraps and wrapped:
        return None, "the sum of all bytes may have begun again at zero after 32 bits"
    return html <= transferred, f"{html} of {transferred}"


def _fits_percentiles(
    version: Version, output: AbOutput, mean: Printed, _: Printed, requests: int
) -> tuple[bool | None, str]:
    times = times_of(output, version)
    if times is None or total_mean(output, version) is None or requests > LARGEST_INDEX:
        return None, "the mean or the place of a percentile is not known"
    if output.requests_asked is not None and output.requests_asked < requests:
        return None, BEYOND_ASKED
    levels = times.levels
    means = Range(levels.least(0, requests) / requests, levels.most(0, requests) / requests)
    detail = f"printed is {plain(mean.value)} ms, the percentiles allow {means} ms"
    return version.mean.range(mean).overlaps(means), detail


def _waiting(
    _: Version, __: AbOutput, rows: dict[str, dict[str, Printed]], failed: int
) -> tuple[bool | None, str]:
    waiting, processing = (rows.get(row, {}) for row in ("waiting", "processing"))
    if failed or not waiting:
        return None, "a request that failed may have the times of one before"
    pairs = {
        name: (time.value, processing[name].value)
        for name, time in waiting.items()
        if name in processing
    }
    wrong = [
        f"{name} {plain(one)} and {plain(all_)} ms"
        for name, (one, all_) in pairs.items()
        if name != "sd" and one > all_ + 1
    ]
    return not wrong, ", ".join(wrong)


def _rows(version: Version, _: AbOutput, rows: dict[str, dict[str, Printed]]) -> tuple[bool, str]:
    for row, columns in rows.items():
        # Without deviations (-S), ab before 2.4.7 prints differences of the other rows here.
        of_others = "sd" not in columns and "waiting" not in rows
        if row == "processing" and (of_others or not version.processing_in_order):
            continue
        middles = ["median"]
        if "sd" in columns or version.averages:
            middles.append("mean")
        for middle in middles:
            values = [columns[name].value for name in ("min", middle, "max") if name in columns]
            if values != sorted(values):
                shown = ", ".join(f"{plain(ms)}" for ms in values)
                return False, f"{row}, min, {middle}, max: {shown}"
        # Before 2.0.17, sums of whole numbers overflow; a sample's deviation is at most 0.71 of
        # its range.
        if version.request.below < 1 and {"min", "sd", "max"} <= columns.keys():
            most = columns["max"].value - columns["min"].value + 1
            if columns["sd"].value > most:
                return False, f"{row}, deviation {plain(columns['sd'].value)}, range {plain(most)}"
    return True, ""


IDENTITIES = (
    Identity(
        "mean latency = concurrency × time / requests",
        ("Time per request", "Concurrency Level", "Time taken for tests", "Complete requests"),
        _formula(lambda concurrency, seconds, requests: concurrency * seconds * 1e3 / requests),
    ),
    Identity(
        "mean across all concurrent requests = time / requests",
        ("Time per request (across)", "Time taken for tests", "Complete requests"),
        _formula(lambda seconds, requests: seconds * 1e3 / requests),
    ),
    Identity(
        "requests per second = requests / time",
        ("Requests per second", "Complete requests", "Time taken for tests"),
        _formula(lambda requests, seconds: requests / seconds),
    ),
    Identity(
        "requests per second = concurrency / mean latency",
        ("Requests per second", "Concurrency Level", "Time per request"),
        _formula(lambda concurrency, latency_ms: concurrency * 1e3 / latency_ms),
    ),
    Identity(
        "transfer rate = total transferred / time",
        ("Transfer rate", "Total transferred", "Time taken for tests"),
        _transfer,
    ),
    Identity(
        "failed = connect + receive + length + exceptions",
        ("Failed requests", "Connect", "Receive", "Length", "Exceptions"),
        _failures,
    ),
    Identity(
        "HTML transferred = document length × requests, if no length failed",
        ("HTML transferred", "Complete requests", "Failed requests"),
        _bodies,
    ),
    Identity("percentiles rise", ("Percentage of the requests",), _percentiles),
    Identity(
        "median of the total times = 50 % line",
        ("Total, median", "50%", "Complete requests"),
        _median,
    ),
    Identity("longest request = 100 % line", ("Total, max", "100%"), _longest),
    Identity(
        "mean total = mean connect + mean processing",
        ("Total, mean", "Connect, mean", "Processing, mean"),
        _formula(lambda connect, processing: connect + processing),
    ),
    Identity("min ≤ mean, median ≤ max in every row of times", ("Connection Times",), _rows),
    Identity(
        "waiting ≤ processing, if no request failed",
        ("Connection Times", "Failed requests"),
        _waiting,
    ),
    Identity(
        "mean total fits the percentiles",
        ("Total, mean", "50%", "Complete requests"),
        _fits_percentiles,
    ),
    Identity(
        "longest request ≤ time of the run", ("100%", "Time taken for tests"), _longest_in_run
    ),
    Identity(
        "mean total ≤ concurrency × time / requests",
        ("Total, mean", "Concurrency Level", "Time taken for tests", "Complete requests"),
        _little,
    ),
    Identity(
        "non-2xx, kept connections ≤ requests, with those under way at the end",
        ("Non-2xx responses", "Complete requests"),
        _counts,
    ),
    Identity(
        "HTML transferred ≤ total transferred",
        ("HTML transferred", "Total transferred"),
        _parts_of_all,
    ),
)


def identities(output: AbOutput) -> list[Finding]:
    """
    One finding for each identity that fails, one for all that hold, one for all not checked.

    The output is read as measured.
    """
    judgement = explained(output)
    found = _printed_time(output, judgement.version)
    found += _failing(output, judgement) or _of_another(output, judgement.version)
    if judgement.holding:
        number, failing = len(judgement.holding), len(judgement.failing)
        which = f"{number} of {number + failing}" if failing else f"All {number}"
        if number + failing == 1:
            which = "The only one"
        text = (
            f"{which} that can be checked {'holds' if number == 1 else 'hold'} within the printed "
            f"rounding, by the rules of ab {judgement.version.name} (--json names them)."
        )
        values = {
            "holding": judgement.holding,
            "version": judgement.version.name,
            "source": f"support/ab.c, output_results, of {judgement.version.source}",
        }
        found.append(Finding("identities", Severity.OK, text, values))
    if judgement.lacking:
        text = (
            f"{len(judgement.lacking)} not checked, for lack of lines or because requests failed "
            "(--json names them)."
        )
        lacking = {"lacking": judgement.lacking}
        found.append(Finding("identities_not_checked", Severity.NOTE, text, lacking))
    return found


def explained(output: AbOutput) -> Judgement:
    """
    What the version says whose rules explain the output best, of those that may have printed it.
    """
    judged = [_judged(output, version) for version in candidates(output)]
    latency = output.latency_mean_ms is not None
    return min(
        judged,
        key=lambda of: (len(of.failing), of.version.prints_latency is not latency),
    )


def _judged(output: AbOutput, version: Version) -> Judgement:
    judgement = Judgement(version, [], {}, {})
    for identity in IDENTITIES:
        values = [output.labelled(label) for label in identity.labels]
        pairs = zip(identity.labels, values, strict=True)
        missing = [f"no “{label}”" for label, value in pairs if value is None or value == {}]
        holds, detail = (
            (None, ", ".join(missing)) if missing else identity.check(version, output, *values)
        )
        if holds:
            judgement.holding.append(identity.words)
        elif holds is None:
            judgement.lacking[identity.words] = detail
        else:
            judgement.failing[identity.words] = detail
    return judgement


def _failing(output: AbOutput, judgement: Judgement) -> list[Finding]:
    others = [] if not by_headline(output) else [_judged(output, other) for other in VERSIONS]
    explaining = [
        other.version.name
        for other in others
        if not other.failing and judgement.failing.keys() <= {*other.holding}
    ]
    severity = Severity.ERROR
    if explaining:
        severity = Severity.WARNING
        reason = f"By the rules of ab {explaining[0]} it holds: the headline is of another output."
    elif by_headline(output):
        reason = "The text was edited, or it mixes the numbers of different runs."
    else:
        reason = "It is of another version than those known, or edited."
    if not judgement.failing:
        return []
    rules = f"ab {judgement.version.name}" if by_headline(output) else "every known version"
    contradiction = (
        f"The numbers contradict each other by the rules of {rules}. What follows takes each of "
        "them as it is printed."
    )
    return [Finding("contradiction", severity, contradiction)] + [
        Finding(
            "identity",
            severity,
            f"Fails: {words}; {detail}. {reason}",
            {"identity": words, "version": judgement.version.name, "explained_by": explaining},
        )
        for words, detail in judgement.failing.items()
    ]


def _of_another(output: AbOutput, version: Version) -> list[Finding]:
    """
    That an output without a headline is of a version that computes in another way than today's.
    """
    if by_headline(output) or not _judged(output, VERSIONS[0]).failing:
        return []
    text = (
        f"There is no headline of a known version, but the numbers are those of ab {version.name}, "
        "which computes in another way than today's."
    )
    return [Finding("version", Severity.NOTE, text, {"version": version.name})]


def _printed_time(output: AbOutput, version: Version) -> list[Finding]:
    """
    That a duration is another one than it looks.
    """
    seconds = output.duration_s
    if seconds is None or seconds.half_unit > 1e-6 or seconds.value % 1 >= 0.1:
        return []
    whole, microseconds = divmod(round(seconds.value * 1e6), 10**6)
    printed = f"{whole}.{microseconds:03d}"
    text = (
        f"The run took {seconds.value:.6f} s, printed “{printed} seconds”: ab {version.name} "
        "prints the microseconds without leading zeros."
    )
    return [
        Finding(
            "printed_time",
            Severity.NOTE,
            text,
            {"printed": printed, "duration_s": seconds.value},
        )
    ]
