#!/bin/sh
# Lock every requirements file again, with hashes. Needs uv (pip install uv).
set -eu
cd "$(dirname "$0")"
compile() { uv pip compile --quiet --no-header --generate-hashes "$@"; }
compile --python-version 3.13 --python-platform linux --only-binary :all: userland.in -o userland.txt
compile --universal --python-version 3.11 host.in -o host.txt
compile --universal --python-version 3.11 lab-tests.in -o lab-tests.txt
compile --universal --python-version 3.11 ci.in -o ci.txt
compile --universal --python-version 3.11 -c ci.txt -c userland.txt -c host.txt -c lab-tests.txt dev.in -o dev.txt
compile --universal --python-version 3.11 fuzz.in -o fuzz.txt
