#!/bin/sh
# Provisions the public Debian 13 box, where the project's own box cannot be built: builds the same
# userland inside it. Needs the network, which the project's own box does not.
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get update --quiet
apt-get install --yes --quiet --no-install-recommends mmdebstrap python3 python3-pip \
    python3-venv rsync
mkdir -p /var/lib/bridgetoll /var/cache/bridgetoll
cd /srv/bridgetoll
BRIDGETOLL_CACHE=/var/cache/bridgetoll python3 -m experiments userland
