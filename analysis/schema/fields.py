"""
What every field of a record is, with its unit and what is known of its values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.schema import shapes_of_run as of_run
from analysis.schema import shapes_of_trial as of_trial
from analysis.schema.words import NAMES, PAIR, by_name, listed, number, said
from experiments.records import (
    COMPLETE,
    ERROR,
    FAILED,
    INTERRUPTED,
    OK,
    PROBES,
    RUNNING,
    SCHEMA_VERSION,
    AgreementLoad,
    LoadResult,
    Manifest,
    OpenLoad,
    RoundLoad,
    TrialRecord,
)

if TYPE_CHECKING:
    from analysis.schema.words import Schema

TITLES = {
    LoadResult: "What a load generator measured over one load",
    OpenLoad: "One load whose requests were sent by a schedule",
    RoundLoad: "One short load of a thawed deployment, while the others of its part were frozen",
    AgreementLoad: "One load by which short loads of thawed deployments are checked",
    TrialRecord: "One fresh deployment of one variant, from bringing up to taking down",
    Manifest: "Everything about a run that is not a trial",
}

_LEAST_0 = {"minimum": 0}
_LEAST_1 = {"minimum": 1}
_POSITIVE = {"exclusiveMinimum": 0}
_SHARE = {"exclusiveMinimum": 0, "maximum": 1}
_STARTED = said("in seconds since the epoch", **_LEAST_0)
_VERSION = said("version of this schema", const=SCHEMA_VERSION)

FIELDS: dict[type, dict[str, Schema]] = {
    LoadResult: {
        "tool": said("the load generator", minLength=1),
        "command": said("the command that ran it", minItems=1),
        "requests": said("requests that were asked for", **_LEAST_1),
        "concurrency": said("requests under way at once", **_LEAST_1),
        "requests_completed": said("requests that were completed", **_LEAST_0),
        "requests_failed": said(
            "requests that the tool counts as failed, also for a body of another length", **_LEAST_0
        ),
        "requests_ok": said("requests with a 2xx answer and without an error", **_LEAST_0),
        "responses_non_2xx": said("answers with another status", **_LEAST_0),
        "duration_s": said("duration of the load, in seconds", **_POSITIVE),
        "requests_per_second": said("completed requests over the duration", **_POSITIVE),
        "latency_mean_us": said(
            "mean over requests, from the connection's start to its last byte, in microseconds",
            **_LEAST_0,
        ),
        "latency_p50_us": said("median over requests, in microseconds", **_LEAST_0),
        "latency_p90_us": said("90th percentile over requests, in microseconds", **_LEAST_0),
        "latency_p99_us": said("99th percentile over requests, in microseconds", **_LEAST_0),
        "latency_max_us": said("the slowest request, in microseconds", **_LEAST_0),
        "details": said("everything that the tool printed, parsed; by tool"),
    },
    OpenLoad: {
        "fraction": said(
            "share of the trial's own closed-loop capacity; null for the rate that all variants "
            "have in common",
            **_POSITIVE,
        ),
        "rate_per_s": said("rate that was asked for, in requests per second", **_POSITIVE),
        "requests": said("requests of the schedule", **_LEAST_1),
        "requests_completed": said("requests that were completed", **_LEAST_0),
        "requests_ok": said("requests with a 2xx answer and without an error", **_LEAST_0),
        "achieved_per_s": said(
            "completed requests over the time from the first one's intended start to the last "
            "one's end, per second",
            **_LEAST_0,
        ),
        "latest_us": said(
            "how long after its intended start the latest request was sent, in microseconds"
        ),
        "log": said("file of the run with one line for each request", minLength=1),
    },
    RoundLoad: {
        "round": said("of the round in its part of the block, from 1", **_LEAST_1),
        "turn": said("place of the deployment in its round, from 1", **_LEAST_1),
        "started_at": _STARTED,
        "requests": said("requests that were asked for", **_LEAST_1),
        "requests_completed": said("requests that were completed", **_LEAST_0),
        "requests_failed": said(
            "requests that the tool counts as failed, also for a body of another length", **_LEAST_0
        ),
        "requests_ok": said("requests with a 2xx answer and without an error", **_LEAST_0),
        "responses_non_2xx": said("answers with another status", **_LEAST_0),
        "us_per_request": said(
            "time of the load over its completed requests, in microseconds", **_POSITIVE
        ),
        "others": said("deployments that were frozen meanwhile", **_LEAST_0),
        "others_ran_us": said(
            "CPU time that those took in all, in microseconds; none, or the load is no good",
            **_LEAST_0,
        ),
    },
    AgreementLoad: {
        "repetition": said("the block after which it was", **_LEAST_1),
        "variant": said("name of the variant", minLength=1),
        "thawed": said("whether the deployment had been frozen"),
        "beside": said("frozen deployments that stood beside it", **_LEAST_0),
        "requests": said("requests that were asked for", **_LEAST_1),
        "requests_ok": said("requests with a 2xx answer and without an error", **_LEAST_0),
        "started_at": _STARTED,
        "us_per_request": said(
            "time of the load over its completed requests, in microseconds", **_POSITIVE
        ),
        "schema_version": _VERSION,
    },
    TrialRecord: {
        "number": said("of the trial in its run, from 1", **_LEAST_1),
        "block": said("of the block, from 1; 0 for trials that are no results", **_LEAST_0),
        "position": said(
            "place in the order in which the deployments of its part were brought up, from 1; 0 "
            "for trials that are no results",
            **_LEAST_0,
        ),
        "variant": said("name of the variant", minLength=1),
        "status": said("whether there is a result", enum=[OK, ERROR]),
        "started_at": _STARTED,
        "phases_s": by_name("how long each phase took, in seconds", number("seconds")),
        "check": of_trial.CHECK,
        "placement": of_trial.PLACEMENT,
        "load": said(
            "all short loads as one: counts added up, the rate over all their time, quantiles of "
            "all requests; null exactly where the status is an error"
        ),
        "part": said("of the trial's part of its block, from 1", **_LEAST_1),
        "loads": said("the short loads, one for each round"),
        "at_once": said("one load of as many requests as were published, never cut; else null"),
        "facts": of_trial.FACTS,
        "allowed": said("differences that no variant declares and the user allows"),
        "path": of_trial.PATH,
        "cpu": of_trial.CPU,
        "first_answer_s": said(
            "from the making of the stack's networks to the first good answer, in seconds, while "
            "other deployments came up too",
            **_POSITIVE,
        ),
        "cold": said("load of the very first requests, before any warm-up"),
        "open_loads": said("loads by schedule, after the other loads"),
        "requests_lost": said(
            "requests of a load that broke off, of which nobody knows how many were answered",
            **_LEAST_0,
        ),
        "failed_phase": said("the phase in which a fault came up; empty without one"),
        "error": said("what the fault was; empty without one"),
        "schema_version": _VERSION,
    },
    Manifest: {
        "run": said("name of the run, which begins with its date and time (UTC)", minLength=1),
        "state": said(
            "how it stands; one that is running when nobody runs it was killed",
            enum=[COMPLETE, INTERRUPTED, FAILED, RUNNING],
        ),
        "seed": said("what orders and schedules are drawn from"),
        "profile": said("how much was asked for"),
        "blocks": said("how many blocks there are to be at least", **_LEAST_1),
        "minutes": said("no block begins that would not end within so many minutes", **_LEAST_0),
        "requests": said("requests of each short load", **_LEAST_1),
        "concurrency": said("requests under way at once", **_LEAST_1),
        "warmup_requests": said("requests before those that count", **_LEAST_0),
        "any_length": said("whether an answer may have another length than the first one"),
        "workload": of_run.WORKLOAD,
        "variants": listed("the variants as declared", of_run.VARIANT),
        "comparisons": listed("the comparisons as declared", of_run.COMPARISON),
        "variants_file": said("file of the run that declares the user's own variants; else empty"),
        "machine": of_run.MACHINE,
        "userland": of_run.USERLAND,
        "git": of_run.GIT,
        "created_at": said("in seconds since the epoch", **_LEAST_0),
        "half_width": said(
            "half-width that the focal intervals are to reach, of the logarithm of a ratio; null "
            "where the number of blocks was all that was asked for",
            **_POSITIVE,
        ),
        "focal": listed("pairs of baseline and treatment that the run is for", PAIR),
        "targets": listed("pairs that are waited for, each with its half-width", of_run.TARGET),
        "side_by_side": listed("pairs of which both stand in one part of a block", PAIR),
        "margin": said("relative difference that is taken to be none", **_POSITIVE),
        "rounds": said("rounds of a block, each with one short load of every trial", **_LEAST_1),
        "requests_at_once": said("requests of each load at once; 0 for none", **_LEAST_0),
        "at_once": said("variants that have such a load"),
        "order": listed(
            "the blocks that were begun, each with its parts, each part with its variants in the "
            "order of their bringing up",
            listed("the parts of one block", NAMES),
        ),
        "ending": said("why no further block was begun"),
        "ladders": listed("the ladders as declared", of_run.LADDER),
        "wholes": listed("what ladders should add up to, as declared", of_run.WHOLE),
        "allowed": said("facts in which trials may differ undeclared"),
        "probes": said("of which trials parity, path and CPU cost are looked at", enum=[*PROBES]),
        "open_fractions": listed(
            "shares of a trial's own capacity at which it is loaded by schedule",
            {"type": "number", **_SHARE},
        ),
        "open_requests": said("requests of each load by schedule", **_LEAST_0),
        "common_rate_per_s": said(
            "rate by schedule that is the same for all, in requests per second; null without one",
            **_POSITIVE,
        ),
        "pilot": of_run.PILOT,
        "artefact": said(
            "the variant that is loaded before it is up, after the last block; empty for none"
        ),
        "agreement": said("variants by which short loads are checked; empty for none"),
        "search": of_run.SEARCH,
        "finished_at": said("in seconds since the epoch; null before that", **_LEAST_0),
        "environment": of_run.ENVIRONMENT,
        "network_state": of_run.NETWORK_STATE,
        "note": said("why it did not end as planned; else empty"),
        "schema_version": _VERSION,
    },
}
