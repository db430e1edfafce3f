"""
What each version of ab prints of its counts, line by line.

The report is ``output_results``. What comes before it is of ``copyright`` and ``test``.
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, NamedTuple

from tests.ab_model.counting import count

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.ab_model.counting import Counts
    from tests.ab_model.events import Load, Request
    from tests.ab_model.versions import Version

PERCENTS = (50, 66, 75, 80, 90, 95, 98, 99, 100)
PHASES = {
    "Connect": "initial connection",
    "Processing": "processing",
    "Waiting": "waiting",
    "Total": "total",
}
TLS = (
    ("SSL/TLS Protocol:       TLSv1.3,TLS_AES_256_GCM_SHA384,2048,256", (2, 1)),
    ("Server Temp Key:        X25519 253 bits", (2, 4, 36)),
    ("TLS Server Name:        gateway.lab", (2, 4, 24)),
)
"""Lines with the first release that prints them."""


def printed(version: Version, load: Load, *, errors: bool = True) -> str:
    """
    A terminal's text, or standard output alone: without ``errors``.
    """
    shown = (text for is_error, text in lines(version, load) if errors or not is_error)
    return "".join(text + ("" if text.endswith("...") else "\n") for text in shown)


def lines(version: Version, load: Load) -> Iterator[tuple[bool, str]]:
    """
    All lines in the order of time; the first value says whether one goes to standard error.
    """
    counts, options = count(version, load), load.options
    zeus = "Adam Twiss, Zeus Technology Ltd, http://www.zeustech.net/"
    yield False, f"This is ApacheBench, Version {version.headline}"
    yield False, f"Copyright {'(c) ' if version.before(2, 2, 9) else ''}1996 {zeus}"
    us = "Copyright (c) 1998-2002" if version.before(2, 2, 9) else "Licensed to"
    yield False, f"{us} The Apache Software Foundation, http://www.apache.org/\n"
    beats = not version.before(1, 3, 20) and options.asked > 150 and not options.quiet
    yield False, f"Benchmarking {load.host} (be patient){'' if beats else '...'}"
    yield from ((False, text) for text in _verbose(version, load))
    # Every tenth request, at most every 100th (main). Up to 2.2.8 ab looks before it counts.
    every = max(100, options.asked // 10) if beats else 10**9
    for done in range(every, counts.done + (not version.before(2, 2, 9)), every):
        yield True, f"Completed {done} requests"
    if counts.aborted is not None:
        yield True, counts.aborted
        if counts.done and not version.before(2):
            yield False, f"Total of {counts.done} requests completed"
        if not version.is_trunk:
            return
    elif not load.interrupted and not version.before(1, 3, 20):
        yield beats, f"Finished {counts.done} requests" if beats else "..done"
    before = "\r" + 75 * " " + "\r" if version.before(2) else "\n\n"
    yield False, f"{before}Server Software:        {counts.server}"
    yield from ((False, text) for text in _report(version, load, counts))


def _verbose(version: Version, load: Load) -> Iterator[str]:
    """
    ``test`` from -v 2 on, ``read_connection`` from -v 2 (heads; 1.3: from -v 4) and 3 (status).
    """
    level = load.options.verbosity
    if level >= 2:
        method = "POST" if version.before(2, 4) else load.options.method
        yield f"INFO: {method} header == \n---\nGET {load.path} HTTP/1.0\nHost: x\n\n\n---"
    for request in load.requests:
        if request.status is not None and level >= (4 if version.before(2) else 2):
            yield (
                f"LOG: header received:\nHTTP/1.0 {request.status} X\nServer: {load.server}\n"
                f"Content-Length: {request.body_bytes}\n\n<p>hello</p>\n"
            )
        if request.status is not None and request.status // 100 != 2 and level >= 2:
            yield f"WARNING: Response code not 2xx ({request.status})"
        elif request.status is not None and level >= 3:
            yield f"LOG: Response code = {request.status}"


def _report(version: Version, load: Load, counts: Counts) -> Iterator[str]:
    """
    Up to 2.2.4, 2.x prints a port as a signed number. "Variable" is of 2.4.7, with -l.

    1.3 prints whole milliseconds, cut. 2.0 to 2.2.8 prints seconds, a point, and microseconds,
    which have three digits or more and no zeros before them.
    """
    options, seconds = load.options, load.duration_us / 1e6
    whole_s, rest_us = divmod(load.duration_us, 10**6)
    signed = not version.before(2) and version.before(2, 2, 5)
    yield f"Server Hostname:        {load.host}"
    yield f"Server Port:            {_signed(load.port, 16) if signed else load.port}"
    yield from (text for text, first in TLS if options.tls and not version.before(*first))
    yield f"\nDocument Path:          {load.path}"
    variable = options.any_length and not version.before(2, 4, 7)
    length = "Variable" if variable else f"{counts.document_length} bytes"
    yield f"Document Length:        {length}\n"
    if version.is_trunk:
        yield "Number of workers:      1"
    yield f"Concurrency Level:      {options.concurrency}"
    if version.is_trunk:
        yield f"Concurrency achieved:   {options.concurrency}\nRampup delay:           0 [ms]"
    if version.before(2):
        taken = f"{whole_s}.{rest_us // 1000:03}"
    else:
        taken = f"{whole_s}.{rest_us:03}" if version.before(2, 2, 9) else f"{seconds:.3f}"
    yield f"Time taken for tests:   {taken} seconds"
    if version.is_trunk:
        yield f"Number of requests:     {options.asked}"
    yield from _counts(version, load, counts)
    yield from _rates(version, load, counts)
    if counts.done > (version.name == "1.3d"):
        yield from _times(version, load, counts.counted)


def _signed(number: int, bits: int) -> int:
    """
    What a signed variable of so many bits holds.
    """
    half = 1 << (bits - 1)
    return (number + half) % (2 * half) - half


def _counts(version: Version, load: Load, counts: Counts) -> Iterator[str]:
    """
    "Receive" since 2.2.9; "Write errors" (1.3: "Broken pipe errors") always, up to 2.4.6.
    """
    yield f"Complete requests:      {counts.done}"
    yield f"Failed requests:        {counts.failed}"
    if counts.failed:
        receive = "" if version.before(2, 2, 9) else f"Receive: {counts.failed_receive}, "
        yield (
            f"   (Connect: {counts.failed_connect}, {receive}Length: {counts.failed_length}, "
            f"Exceptions: {counts.failed_exceptions})"
        )
    if not version.before(1, 3, 20) and version.before(2, 4, 7):
        yield f"{'Broken pipe' if version.before(2) else 'Write'} errors:".ljust(24) + "0"
    if counts.non_2xx:
        yield f"Non-2xx responses:      {counts.non_2xx}"
    if load.options.keep_alive:
        yield f"Keep-Alive requests:    {counts.kept_alive}"
        if counts.kept_alive_aborts:
            yield f"Keep-Alive aborts:      {counts.kept_alive_aborts}"
    yield f"Total transferred:      {_signed(counts.bytes_read, version.bits)} bytes"
    if load.options.posted_bytes:
        put = load.options.method == "PUT" and not version.before(2, 2, 9)
        label = "Total body sent" if not version.before(2, 3) else "Total POSTed"
        label = "Total PUT" if put and version.before(2, 3) else label
        yield f"{label + ':':23} {_signed(counts.bytes_posted, version.bits)}"
    yield f"HTML transferred:       {_signed(counts.bytes_html, version.bits)} bytes"


def _single(number: float) -> float:
    return float(struct.unpack("f", struct.pack("f", number))[0])


def _rates(version: Version, load: Load, counts: Counts) -> Iterator[str]:
    """
    Only if time passed; since 2.2.9 only if a request was done, too.

    In single precision before 2.2.9. 1.3 computes with whole milliseconds, and a kilobyte of 1000
    bytes. 2.0.36 prints seconds as milliseconds. 2.0 to 2.2.8 cut what was received to whole
    kilobytes.
    """
    of = _single if version.before(2, 2, 9) else float
    done, concurrency, whole = counts.done, load.options.concurrency, 10**6
    if version.before(2):
        time, per_s, digits = of(load.duration_us // 1000), 1000, 2
        mean, across = of(concurrency * (load.duration_us // 1000)), time
    else:
        seconds = of(load.duration_us // whole) + of(of(load.duration_us % whole) / 1e6)
        time = of(seconds if version.before(2, 2, 9) else load.duration_us / 1e6)
        per_s, digits, factor = 1, 3, 1 if version.before(2, 0, 37) else 1000
        mean, across = of(factor * concurrency * time), of(factor * time)
        if not version.before(2, 2, 9):
            mean = concurrency * time * 1000
    if not time or not (done or version.before(2, 2, 9)):
        return
    rate = of(of(per_s * of(done)) / time)
    if version.before(1, 3, 20):
        yield f"Requests per second:    {rate:.2f}"
    else:
        mean, across = (of(each / done) if done else math.inf for each in (mean, across))
        yield f"Requests per second:    {rate:.2f} [#/sec] (mean)"
        yield f"Time per request:       {mean:.{digits}f} [ms] (mean)"
        every = "(mean, across all concurrent requests)"
        yield f"Time per request:       {across:.{digits}f} [ms] {every}"
    kilobyte = 1 if version.before(2) else 1024
    received, posted = counts.bytes_read, counts.bytes_posted
    kilobytes = _signed(received, version.bits) / kilobyte
    if version.before(2, 2, 9):
        kilobytes = math.trunc(kilobytes)
    unit = "kb/s" if version.before(1, 3, 20) else "[Kbytes/sec]"
    yield f"Transfer rate:          {of(of(kilobytes) / time):.2f} {unit} received"
    for number, words in ((posted, "sent"), (received + posted, "total")):
        if load.options.posted_bytes:
            kb_s = of(of(of(_signed(number, version.bits)) / time) / kilobyte)
            yield f"{'':23} {kb_s:.2f} kb/s {words}"


class _Row(NamedTuple):
    least: int
    mean: float
    deviation: float
    median: int
    most: int


def _row(version: Version, times: Sequence[int]) -> _Row:
    """
    The mean is cut to a whole unit, but not in 1.3d. The deviation is of the sample, from the mean.

    Of an odd number, the median is the mean of the middle one and the next. 1.3d cuts each
    difference from the mean.
    """
    number, ordered, exact = len(times), sorted(times), version.name == "1.3d"
    mean = sum(times) / number if exact else sum(times) // number
    apart = (math.trunc(time - mean) if exact else time - mean for time in times)
    deviation = math.sqrt(sum(each**2 for each in apart) / max(1, number - 1))
    median = ordered[number // 2]
    if number > 1 and number % 2:
        median = (median + ordered[number // 2 + 1]) // 2
    return _Row(ordered[0], mean, deviation, median, ordered[-1])


def _ms(version: Version, number: float) -> int:
    """
    ``ap_round_ms`` of microseconds, since 2.2.9; before, times are cut (1.3d rounds the mean).
    """
    return math.floor(number + 0.5) if version.before(2, 2, 9) else (int(number) + 500) // 1000


def _times(version: Version, load: Load, requests: Sequence[Request]) -> Iterator[str]:
    """
    Before 2.2.9, ``close_connection`` cuts each time to milliseconds, before any difference.

    1.3d takes as the least processing time the least total or the last processing time.
    """
    unit = 1000 if version.before(2, 2, 9) else 1
    connect = [request.connect_us // unit for request in requests]
    total = [request.total_us // unit for request in requests]
    processing = [whole - part for whole, part in zip(total, connect, strict=True)]
    waiting = [request.wait_us // unit for request in requests]
    rows = [_row(version, times) for times in (connect, processing, waiting, total)]
    if version.name == "1.3d":
        rows[1] = rows[1]._replace(least=min(rows[3].least, processing[-1]))
    yield f"\nConn{'n' if version.before(2) else ''}ection Times (ms)"
    if version.before(1, 3, 20) or load.options.no_deviations:
        yield from _three_columns(version, rows, len(requests))
    else:
        yield from _five_columns(version, rows, 1000 // unit)
    if len(total) > 1 and not version.before(1, 3, 20):
        yield from _percentiles(version, sorted(total))


def _three_columns(version: Version, rows: Sequence[_Row], number: int) -> Iterator[str]:
    """
    With -S, and in 1.3c. "Waiting" is printed since 2.4.7.

    Up to then, "Processing" is the difference of the other rows, but not in 1.3d. 2.0 to 2.0.50
    divide the mean by the number of requests twice.
    """
    yield "              min   avg   max"
    twice = number if not version.before(2) and version.before(2, 0, 51) else 1
    cells = [
        [_ms(version, each) for each in (row.least, row.mean // twice, row.most)] for row in rows
    ]
    if version.name == "1.3d":
        cells = [[_ms(version, each) for each in (row.least, row.mean, row.most)] for row in rows]
    elif version.before(2, 4, 7):
        cells[1] = [whole - part for whole, part in zip(cells[3], cells[0], strict=True)]
    for name, (least, mean, most) in zip(PHASES, cells, strict=True):
        if name != "Waiting" or not version.before(2, 4, 7):
            yield f"{name + ':':11} {least:5} {mean:5}{' ' if version.before(2) else ''}{most:5}"


def _five_columns(version: Version, rows: Sequence[_Row], unit: int) -> Iterator[str]:
    """
    ``SANE`` compares mean and median as printed (before 2.2.9: not rounded) by the deviation.
    """
    form, head = "{:5} {:4} {:5.1f} {:6} {:7}", "              min  mean[+/-sd] median   max"
    if version.before(2):
        form = "{:5} {:5} {:6.1f}  {:5} {:5}"
    elif version.before(2, 0, 37):
        form, head = "{} {:5} {:6.1f} {} {}", head[2:]
    yield head
    for name, row in zip(PHASES, rows, strict=True):
        least, mean, median, most = (_ms(version, row[at]) for at in (0, 1, 3, 4))
        cells = form.format(least, mean, row.deviation / unit, median, most)
        yield f"{name + ':':11} {cells}"
    warning = "WARING" if version.before(2, 0, 40) else "WARNING"
    probably = "propably" if version.before(2) else "probably"
    for phase, row in zip(PHASES.values(), rows, strict=True):
        shown = row.mean if version.before(2, 2, 9) else _ms(version, row.mean)
        apart, deviation = abs(shown - _ms(version, row.median)), row.deviation / unit
        words = f"The median and mean for the {phase} time are"
        if apart > 2 * deviation:
            yield f"ERROR: {words} more than twice the standard"
            yield "       deviation apart. These results are NOT reliable."
        elif apart > deviation:
            yield f"{warning}: {words} not within a normal deviation"
            yield f"        These results are {probably} not that reliable."


def _percentiles(version: Version, ordered: Sequence[int]) -> Iterator[str]:
    """
    The sorted request of index ``done * percent / 100``, cut; 1.3 multiplies by a fraction.
    """
    yield "\nPercentage of the requests served within a certain time (ms)"
    number, old = len(ordered), version.before(2)
    for percent in PERCENTS[:-1]:
        index = int(number * (percent / 100)) if old else number * percent // 100
        yield f"  {percent}%  {_ms(version, ordered[index]):5}"
    yield f" 100%  {_ms(version, ordered[-1]):5} ({'last' if old else 'longest'} request)"
