"""
Random loads for hypothesis: a few kinds of requests, repeated, scheduled, and perhaps cut off.
"""

from __future__ import annotations

from dataclasses import replace

from hypothesis import Phase, settings
from hypothesis import strategies as st

from tests.ab_model.counting import count
from tests.ab_model.events import NOT_CONNECTED, End, Load, Options, Request, cut_at, scheduled
from tests.ab_model.versions import VERSIONS, Version

FASTEST_US = 40
"""No request over a socket is faster."""

SECOND_US = 10**6
TIMES_US = st.one_of(*(st.integers(0, most) for most in (2_000, 40_000, 3_000_000, 200_000_000)))
SERVERS = st.sampled_from(["nginx/1.26", "Apache-Coyote/1.1", "Werkzeug/3.1.3", ""])
PATHS = st.sampled_from(
    ["/", "/api/products", "/a|b?c=d&e=f", "/search?q=a%20b:+c", "/~user/_x_*y*/#Total:", "/-"]
)


def examples(number: int) -> settings:
    """
    The same cases each time, and as they come: to shrink hundreds of requests takes minutes.
    """
    return settings(derandomize=True, deadline=None, max_examples=number, phases=[Phase.generate])


@st.composite
def requests(draw: st.DrawFn, version: Version, options: Options, body_bytes: int) -> Request:
    """
    One kind of request that does not end the version: good, or bad in any way.
    """
    connect_us, wait_us, rest_us = draw(TIMES_US), draw(TIMES_US), draw(TIMES_US)
    good = Request(
        end=End.KEPT if options.keep_alive else End.CLOSED,
        head_bytes=draw(st.sampled_from([38, 144, 169, 1031])),
        body_bytes=body_bytes,
        connect_us=connect_us,
        wait_us=wait_us,
        total_us=connect_us + wait_us + rest_us + FASTEST_US,
    )
    closed = replace(good, end=End.CLOSED)
    nothing = replace(closed, status=None, head_bytes=0, body_bytes=0, whole=False, wait_us=0)
    status = draw(st.sampled_from([301, 404, 500, 502]))
    other = 0 if options.method == "HEAD" else draw(st.integers(0, 2 * body_bytes + 9))
    kinds = [
        good,
        good,
        closed,
        replace(good, body_bytes=other),
        replace(good, status=status),
        replace(good, status=status, body_bytes=other),
        replace(closed, status=status, body_bytes=other),
        replace(closed, body_bytes=body_bytes // 3, whole=not body_bytes),
        nothing,
        replace(nothing, polled=True),
        replace(nothing, head_bytes=17),
    ]
    if options.go_on or version.before(2):
        reset = replace(nothing, end=End.RESET, polled=draw(st.booleans()))
        kinds += [
            reset,
            replace(reset, head_bytes=17),
            replace(reset, status=200, head_bytes=144, body_bytes=body_bytes // 2),
        ]
    if options.go_on:
        kinds.append(replace(good, end=End.RESET, whole=False, polled=draw(st.booleans())))
    return draw(st.sampled_from(kinds))


@st.composite
def command_lines(draw: st.DrawFn, version: Version, asked: int) -> Options:
    """
    Options that the version has.
    """
    methods = ["GET", "GET", "HEAD", "POST"] + ["PUT"] * (not version.before(2, 2, 9))
    method = draw(st.sampled_from(methods))
    return Options(
        asked=asked,
        concurrency=draw(st.integers(1, min(asked, 20))),
        keep_alive=draw(st.booleans()),
        go_on=not version.before(2, 2, 9) and draw(st.booleans()),
        any_length=not version.before(2, 4, 7) and draw(st.booleans()),
        no_deviations=not version.before(1, 3, 20) and draw(st.booleans()),
        quiet=draw(st.booleans()),
        verbosity=draw(st.sampled_from([0, 0, 2, 3, 4])) if asked <= 20 else 0,
        method=method,
        posted_bytes=draw(st.integers(100, 2000)) if method in {"POST", "PUT"} else 0,
        tls=draw(st.booleans()),
    )


@st.composite
def loads(draw: st.DrawFn, version: Version) -> Load:
    """
    A load that ends as it should, at its time limit, or by Ctrl-C.
    """
    runs = draw(st.lists(st.integers(1, 60), min_size=1, max_size=8)) * draw(st.integers(1, 5))
    options = draw(command_lines(version, sum(runs)))
    body_bytes = 0 if options.method == "HEAD" else draw(st.sampled_from([0, 5, 16, 1542, 90_000]))
    kinds = draw(st.lists(requests(version, options, body_bytes), min_size=1, max_size=len(runs)))
    step_us = draw(st.sampled_from([0, 1, 37, 999, 12_345]))
    made: list[Request] = []
    for at, run in enumerate(runs):
        kind = kinds[at % len(kinds)]
        made += (replace(kind, total_us=kind.total_us + step_us * (i % 7)) for i in range(run))
    if not version.before(2, 4, 7):
        made[1:1] = [NOT_CONNECTED] * draw(st.sampled_from([0, 0, 0, 1, 9]))
    placed = scheduled(made, options.concurrency)
    end_us = placed[-1].end_us + draw(st.integers(0, 500))
    load = Load(options, tuple(placed), end_us, server=draw(SERVERS), path=draw(PATHS))
    if not version.before(2, 2, 9) and draw(st.integers(0, 8)) == 0:
        return cut_at(load, draw(st.integers(placed[0].end_us, end_us)), interrupted=True)
    if end_us > SECOND_US and draw(st.booleans()):
        # -t: the first request that ends after so many whole seconds is the last one.
        limit_us = draw(st.integers(1, end_us // SECOND_US)) * SECOND_US
        until_us = min((r.end_us for r in placed if r.end_us >= limit_us), default=end_us)
        return cut_at(load, until_us, interrupted=False)
    if version.before(2, 3) and placed[-1].end is End.KEPT:
        # Kept connections have sent one more request each when the last one ends.
        more = draw(st.integers(0, options.concurrency - 1))
        return replace(load, late=(placed[-1],) * more)
    return load


@st.composite
def outputs(draw: st.DrawFn) -> tuple[Version, Load]:
    """
    A version with a load of which it prints a report.
    """
    version = draw(st.sampled_from(VERSIONS))
    return version, draw(loads(version).filter(lambda load: count(version, load).aborted is None))
