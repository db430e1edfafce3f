"""
Shapes of the tables in a run's manifest, as far as they are certain; the rest is left open.
"""

from __future__ import annotations

from analysis.schema.words import (
    CPUS,
    LINES,
    NAME,
    NAMES,
    SHA256,
    by_name,
    flag,
    listed,
    number,
    or_empty,
    said,
    shape,
    signed,
    string,
    unknown_too,
    whole,
)
from experiments.records import RATE_WANTED, ROUNDS_WANTED

LEVELS = by_name("its level of every factor", {"type": "string"})

VARIANT = shape(
    "one level of every factor, under a name",
    {
        "name": {**NAME, **said("its name")},
        "about": string("what it is, in words"),
        "levels": LEVELS,
        "overlays": {**LINES, **said("override files of the user's own, relative to the run")},
    },
    {
        "overlays_sha256": listed("SHA-256 of each of them", SHA256),
        "every": whole("it has a trial in every so many blocks", 1),
        "twin_of": string("the variant that it was added to be the same as; else empty"),
    },
)

COMPARISON = shape(
    "two variants that are compared",
    {
        "name": {**NAME, **said("its name")},
        "about": string("what it is, in words"),
        "baseline": {**NAME, **said("name of the variant that it starts from")},
        "treatment": {**NAME, **said("name of the variant whose difference is asked for")},
    },
    {"focal": flag("whether the run goes on until it is known well enough")},
)

TARGET = shape(
    "a pair, and how narrow its interval is to become",
    {
        "baseline": {**NAME, **said("name of the variant that it starts from")},
        "treatment": {**NAME, **said("name of the variant whose difference is asked for")},
        "half_width": number("of the interval of the logarithm of their ratio"),
    },
)

LADDER = shape(
    "variants in order, of which neighbours differ in one factor",
    {
        "name": {**NAME, **said("its name")},
        "about": string("what it is, in words"),
        "steps": {**NAMES, "minItems": 2, **said("names of the variants, from the foot")},
    },
)

WHOLE = shape(
    "a difference that the steps of some ladders should add up to",
    {
        "name": {**NAME, **said("its name")},
        "baseline": {**NAME, **said("name of the variant that it starts from")},
        "treatment": {**NAME, **said("name of the variant that it ends at")},
        "ladders": {**NAMES, **said("names of the ladders")},
    },
)

CHANGE = by_name("levels, by the factor that they are of", {"type": "string"})

CANDIDATE = shape(
    "one change, on what was best so far",
    {
        "change": CHANGE,
        "levels": {**LEVELS, **said("its level of every factor")},
        "log_ratios": listed(
            "logarithms of the time per request, changed to best so far", signed("one block")
        ),
        "good_share": number("share of its answers that were good", maximum=1),
        "note": string("why there is nothing; else empty"),
    },
)

SEARCH = or_empty(
    shape(
        "the search for the best configuration, and from its end on what it found; else empty",
        {
            "name": {**NAME, **said("the variant that is to be what it finds")},
            "about": string("what it is, in words"),
            "start": {**NAME, **said("the variant that it starts from")},
            "blocks": whole("blocks of each step", 1),
            "rounds": whole("rounds of each of these blocks", 1),
            "changes": listed("the changes that are tried", CHANGE),
        },
        {
            "also": {**NAMES, **said("variants that it can choose as they are")},
            "every": whole("it has a trial in every so many blocks", 1),
            "levels": {**LEVELS, **said("the levels that it found best")},
            "steps": listed(
                "what it tried, each time on what was best so far",
                shape(
                    "candidates that were measured in the same blocks",
                    {
                        "candidates": listed("all of them", CANDIDATE),
                        "chosen": unknown_too(whole("which was kept, from 0; null for none")),
                    },
                ),
            ),
        },
    )
)

PILOT = shape(
    "what was left to a pilot, then what it found; empty without one",
    {},
    {
        "wanted": {"enum": [ROUNDS_WANTED, RATE_WANTED], **said("what it is to find")},
        "requests_asked": whole("requests in each load, where the user says how many", 1),
        "variant": string("the variant that was deployed"),
        "deployments": whole("how many of them were good", 1),
        "rounds": whole("rounds of the pilot", 1),
        "requests": whole("requests in each load", 1),
        "own_sd": number(
            "standard deviation of the time's logarithm between loads of one deployment, relative "
            "to their round"
        ),
        "between_sd": number("the same between deployments, beyond that"),
        "deployment_s": number("what a deployment costs, in seconds"),
        "load_s": number("what a load costs, in seconds"),
        "wanted_rounds": whole("rounds that a deployment is worth", 1),
        "capacities_per_s": by_name("rate of each variant, in requests per second", number("rate")),
    },
)

WORKLOAD = or_empty(
    shape(
        "the endpoint and how it is loaded",
        {
            "name": {**NAME, **said("its name")},
            "about": string("what it is, in words"),
            "services": {**NAMES, **said("the services that it needs")},
            "path": string("path of every request", pattern="^/"),
            "post_json": said("body of every request; null for GET"),
        },
        {
            "expect_status": whole("status that the answer must have", 100),
            "expect_json": said("what the answer must hold"),
        },
    )
)

BOX = shape(
    "the box that the VM was made from",
    {"name": NAME, "version": {"type": "string"}, "sha256": SHA256},
    {"digest": {"type": "string"}},
    closed=False,
)

MACHINE = or_empty(
    shape(
        "which machine it was; empty before it is known",
        {"name": {**NAME, **said("local or vagrant")}},
        {
            "reason": string("why it was taken"),
            "provider": string("what made the VM"),
            "hypervisor": string("its name and version"),
            "acceleration": string("kvm, or emulation, which says nothing about performance"),
            "box": BOX,
            "host": shape(
                "the machine below the VM",
                {"kernel": {"type": "string"}, "cpu_model": {"type": ["string", "null"]}},
                closed=False,
            ),
        },
    )
)

USERLAND = or_empty(
    shape(
        "the root file system that every variant uses; empty before it is known",
        {
            "digest": string("of everything that it was built from"),
            "packages": by_name("versions of the Debian packages", {"type": "string"}),
            "wheels": by_name("versions of the Python packages", {"type": "string"}),
        },
        {
            "content_sha256": {**SHA256, **said("SHA-256 of its contents")},
            "mirror": string("where its packages came from"),
        },
    )
)

GIT = or_empty(
    shape(
        "the checkout that ran; empty outside of a repository",
        {
            "commit": string("its commit", pattern="^[0-9a-f]{40}$"),
            "changed": flag("whether files differ from it"),
        },
    )
)

TEXT_OR_NULL = {"type": ["string", "null"]}

ENVIRONMENT = shape(
    "what was seen of the machine inside the lab; null is what the kernel does not tell",
    {},
    {
        "kernel": string("release of the kernel"),
        "kernel_build": string("its build"),
        "architecture": string("of the CPUs"),
        "python": string("version of the interpreter that ran the lab"),
        "cpu_model": {**TEXT_OR_NULL, **said("the CPUs' own name")},
        "cpus": {**CPUS, **said("CPUs that could be used, by their numbers")},
        "cpus_online": unknown_too(whole("CPUs that are online", 1)),
        "memory_bytes": unknown_too(whole("memory, in bytes")),
        "swap_bytes": whole("swap, in bytes"),
        "memory": shape(
            "what deployments take, as it was measured",
            {},
            {
                "available_bytes": whole("memory that could be had"),
                "process_bytes": unknown_too(whole("what a deployment of processes takes")),
                "container_bytes": unknown_too(whole("and one of containers")),
                "fits": unknown_too(whole("how many deployments fit side by side", 1)),
            },
        ),
        "brought_up_at_once": whole("deployments that came up at the same time", 1),
        "cgroup_layout": string("v1, v2 or hybrid"),
        "virtualised": {"type": ["boolean", "null"], **said("whether below is a hypervisor")},
        "clock_source": {**TEXT_OR_NULL, **said("of the kernel")},
        "cpu_governor": {**TEXT_OR_NULL, **said("what sets the CPUs' frequency")},
        "open_files_limit": whole("files that a process may open", None),
        "sysctls": by_name("settings below /proc/sys", TEXT_OR_NULL),
        "left_out": {**NAMES, **said("variants that this machine has too few CPUs for")},
        "stolen_s": signed("time that a hypervisor gave to others, over all CPUs, in seconds"),
        "observed_s": number("for how long that was watched, in seconds"),
        "runner_peak_bytes": whole("most memory that the runner took, in bytes"),
    },
    closed=False,
)

NETWORK_STATE = by_name(
    "the host's network in each variant, by its name, in lines as the tools print them",
    shape(
        "of one variant",
        dict.fromkeys(("links", "addresses", "routes", "firewall", "sysctls"), LINES),
    ),
)
