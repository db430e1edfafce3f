"""
What the runs of a comparison have in common, and what they differ in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.audit.account import account_of
from analysis.audit.findings import Finding, Severity, listed, share, shortened
from analysis.formatting import count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from analysis.audit.arms import Arm
    from experiments.records.ab.output import AbOutput

    Describe = Callable[[AbOutput], str | None]
    """What a run says of one thing; None if it does not tell."""

    Values = list[tuple[str, ...]]
    """What the runs of every arm say of one thing."""

SAME_DURATION = 0.02
"""Durations that differ by less are those of one time limit (-t)."""

SAME_KEPT = 0.05
"""A server may close each connection once in a while, or the last ones."""

SAME_BODY = 0.05
"""Requests whose bytes differ by less may differ in the server's name, or some were unfinished."""

BODY = "request body"
KEPT = "connections kept by the server (-k)"
AMOUNT = "number of requests and duration"


def _version(run: AbOutput) -> str | None:
    return run.version and run.version + ("" if run.workers is None else " (trunk)")


def _keep_alive(run: AbOutput) -> str | None:
    return None if run.keep_alive is None else "with -k" if run.keep_alive else "without -k"


def _tls(run: AbOutput) -> str | None:
    # ab prints its line between these two.
    told = run.server_port is not None and run.document_path is not None
    return run.tls_protocol or ("no TLS" if told else None)


def _length(run: AbOutput) -> str | None:
    """
    The length of the good answers, which is not the document's if the first answer was bad.
    """
    account = account_of(run)
    length = account.good_bytes
    bad = (run.requests_failed or 0) + (run.responses_non_2xx or 0)
    if not (account.compared or bad) and account.html is not None:
        each, rest = divmod(account.html, account.complete)
        length = None if rest else each
    if length is None or (length == 0 and account.html):
        return None
    return count(length, "byte")


def _body(run: AbOutput) -> str | None:
    # From 1.3 to the trunk, the bytes sent are printed after POST and PUT alone.
    if run.bytes_sent is not None:
        return "one (POST or PUT)"
    told = run.bytes_transferred is not None and run.bytes_html is not None
    return "none (GET or HEAD)" if told and not run.elided else None


def _lengths(run: AbOutput) -> str | None:
    if run.document_length_variable:
        return "with"
    return None if run.document_length is None else "without"


DESCRIBED: dict[str, Describe] = {
    "concurrency": lambda run: None if run.concurrency is None else str(run.concurrency),
    "version of ab": _version,
    "keep-alive": _keep_alive,
    "TLS": _tls,
    BODY: _body,
    "document length": _length,
    "path": lambda run: run.document_path,
}
"""What must be the same in every run; a difference in one may change the rate by itself."""

IDENTITY: dict[str, Describe] = {
    "host": lambda run: run.server_hostname,
    "port": lambda run: None if run.server_port is None else str(run.server_port),
    "server software": lambda run: run.server_software,
}
"""What may tell the arms apart."""

COUNTED: dict[str, Describe] = {"-l": _lengths}
"""What changes only which answers count as failed."""


def conditions(arms: Sequence[Arm]) -> list[Finding]:
    """
    What the arms differ in, whether it matters, and what not every run tells.
    """
    differing = unlike(arms)
    found = [
        Finding(
            "comparable",
            Severity.WARNING,
            f"The runs differ in {name}, which alone may change the rate: {_shown(arms, values)}.",
            {"differing": [name]},
        )
        for name, values in differing.items()
    ]
    untold = [name for name, values in _described(arms, DESCRIBED) if not all(map(all, values))]
    same = [name for name in DESCRIBED if name not in untold]
    runs = [run for arm in arms for run in arm.measured]
    if _same_requests(runs) or all(run.duration_s for run in runs):
        same.append("number of requests or duration")
    else:
        untold.append(AMOUNT)
    if same and not differing:
        text = f"All runs have the same {listed(same)}."
        found.append(Finding("comparable", Severity.OK, text, {"differing": []}))
    if untold:
        text = f"Not every run tells its {listed(untold)}."
        found.append(Finding("not_told", Severity.NOTE, text, {"not_told": untold}))
    for name, values in _differing(arms, COUNTED).items():
        text = (
            f"The runs differ in {name}, which changes what counts as failed and not the rate: "
            f"{_shown(arms, values)}."
        )
        found.append(Finding("failures_counted", Severity.NOTE, text))
    identity = [
        f"{name} ({_shown(arms, values)})" for name, values in _differing(arms, IDENTITY).items()
    ]
    if identity:
        text = f"The runs differ in {listed(identity)}: no fault, if that is what is compared."
        found.append(Finding("servers", Severity.NOTE, text))
    return found


def unlike(arms: Sequence[Arm]) -> dict[str, Values]:
    """
    What matters and is not the same in all runs of these arms, with what they say of it.
    """
    found = _differing(arms, DESCRIBED)
    of_numbers = {KEPT: _kept(arms), BODY: _bodies(arms), AMOUNT: _amounts(arms)}
    return found | {name: v for name, v in of_numbers.items() if v and name not in found}


def _described(arms: Sequence[Arm], by: dict[str, Describe]) -> Iterable[tuple[str, Values]]:
    """
    Each thing with what the runs of every arm say of it; "" stands for runs that do not tell.
    """
    for name, describe in by.items():
        yield name, [_distinct(describe(run) or "" for run in arm.measured) for arm in arms]


def _differing(arms: Sequence[Arm], by: dict[str, Describe]) -> dict[str, Values]:
    found = {}
    for name, values in _described(arms, by):
        told = [tuple(value for value in of_arm if value) for of_arm in values]
        if len({value for of_arm in told for value in of_arm}) > 1:
            found[name] = told
    return found


def _distinct(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


def _shown(arms: Sequence[Arm], values: Values) -> str:
    return ", ".join(
        f"{arm.name} {listed([shortened(each) for each in value])}"
        for arm, value in zip(arms, values, strict=True)
        if value
    )


def _kept(arms: Sequence[Arm]) -> Values:
    """
    The connections that the server kept in each arm, if they differ.
    """
    shares = [
        [
            run.keep_alive_requests / (run.requests_completed or 1)
            for run in arm.measured
            if run.keep_alive_requests is not None
        ]
        for arm in arms
    ]
    every = [each for of_arm in shares for each in of_arm]
    if not every or max(every) - min(every) <= SAME_KEPT:
        return []
    return [
        _distinct(f"after {share(each, 1)} of requests" for each in of_arm) for of_arm in shares
    ]


def _bodies(arms: Sequence[Arm]) -> Values:
    """
    The bytes that each arm sent per request, if they differ much.
    """
    sent = [
        [run.bytes_sent / (run.requests_completed or 1) for run in arm.measured if run.bytes_sent]
        for arm in arms
    ]
    every = [each for of_arm in sent for each in of_arm]
    if not every or max(every) <= min(every) * (1 + SAME_BODY):
        return []
    return [_distinct(f"{each:.4g} bytes sent per request" for each in of_arm) for of_arm in sent]


def _amounts(arms: Sequence[Arm]) -> Values:
    """
    The amounts of work of each arm, if neither the requests nor the durations are the same.
    """
    runs = [run for arm in arms for run in arm.measured]
    durations_s = [run.duration_s.value for run in runs if run.duration_s]
    if _same_requests(runs) or not durations_s:
        return []
    if max(durations_s) <= min(durations_s) * (1 + SAME_DURATION):
        return []
    return [
        _distinct(
            f"{run.requests_completed} in {run.duration_s.value:.3g} s"
            for run in arm.measured
            if run.duration_s
        )
        for arm in arms
    ]


def _same_requests(runs: Sequence[AbOutput]) -> bool:
    return len({run.requests_completed for run in runs}) == 1
