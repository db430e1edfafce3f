#!/bin/sh
# Runs at the end of the bootstrap with the new root as $1, the wheels as $2 and their lock as $3.
# Installs the locked wheels offline and removes what would differ between two equal builds.
set -eu
root=$1 wheels=$2 lock=$3

mkdir "$root/wheels"
cp "$wheels"/*.whl "$root/wheels/"
cp "$lock" "$root/wheels/lock.txt"
# pip runs from its own wheel, so that the userland needs no pip package of its own to get one.
pip=$(cd "$root/wheels" && echo pip-*.whl)
chroot "$root" env PYTHONPATH="/wheels/$pip" PYTHONDONTWRITEBYTECODE=1 python3 -m pip install \
    --isolated --quiet --no-index --find-links /wheels --require-hashes --no-compile --no-cache-dir \
    --break-system-packages --root-user-action ignore --requirement /wheels/lock.txt
rm -r "$root/wheels"
# Hash-based bytecode: no time stamps in it, and nothing to compile when a service starts.
chroot "$root" python3 -m compileall -q --invalidation-mode unchecked-hash /usr/local/lib

# Made at random, or dated, at installation:
rm -f "$root"/etc/ssl/private/ssl-cert-snakeoil.key "$root"/etc/ssl/certs/ssl-cert-snakeoil.pem
find "$root/etc/ssl/certs" -xtype l -delete
rm -f "$root"/var/cache/ldconfig/aux-cache "$root"/var/lib/dbus/machine-id
rm -f "$root"/var/cache/debconf/*
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root"/tmp/* "$root"/run/*
find "$root/var/log" -type f -delete
: >"$root/etc/machine-id"
# The last-change day of each account is today's; 0 would mean "must be changed at log-in".
sed -i -E 's/^([^:]*:[^:]*):[0-9]+:/\1:20000:/' "$root/etc/shadow"
rm -f "$root"/etc/shadow- "$root"/etc/passwd- "$root"/etc/group- "$root"/etc/gshadow- \
    "$root"/etc/subuid- "$root"/etc/subgid-

echo bridgetoll >"$root/etc/hostname"
printf '127.0.0.1 localhost\n::1 localhost\n' >"$root/etc/hosts"
: >"$root/etc/resolv.conf"
mkdir -p "$root/srv/bridgetoll"
