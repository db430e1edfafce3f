#!/bin/sh
# Runs at the end of the box's bootstrap with the new root as $1, and Vagrant's well-known public
# key as $2: what Vagrant expects of a box, a network by DHCP, and nothing that differs between
# two equal builds.
set -eu
root=$1 key=$2

chroot "$root" useradd --create-home --shell /bin/bash --uid 1000 vagrant
install -d -m 700 -o 1000 -g 1000 "$root/home/vagrant/.ssh"
install -m 600 -o 1000 -g 1000 "$key" "$root/home/vagrant/.ssh/authorized_keys"
echo 'vagrant ALL=(ALL) NOPASSWD: ALL' >"$root/etc/sudoers.d/vagrant"
chmod 440 "$root/etc/sudoers.d/vagrant"

# The host keys are made at the first boot: a box is no place for private keys.
rm -f "$root"/etc/ssh/ssh_host_*
cat >"$root/etc/systemd/system/ssh-host-key.service" <<'UNIT'
[Unit]
Description=Make this machine's own SSH host key
ConditionPathExists=!/etc/ssh/ssh_host_ed25519_key
Before=ssh.service
[Service]
Type=oneshot
ExecStart=/usr/bin/ssh-keygen -q -t ed25519 -N "" -f /etc/ssh/ssh_host_ed25519_key
[Install]
WantedBy=multi-user.target
UNIT
# A client that is gone must be noticed, so that what it started can stop; no reverse look-ups.
cat >"$root/etc/ssh/sshd_config.d/bridgetoll.conf" <<'CONF'
HostKey /etc/ssh/ssh_host_ed25519_key
ClientAliveInterval 5
ClientAliveCountMax 3
UseDNS no
PasswordAuthentication no
CONF

printf '[Match]\nType=ether\n[Network]\nDHCP=ipv4\nLinkLocalAddressing=no\n' \
    >"$root/etc/systemd/network/10-dhcp.network"
chroot "$root" systemctl --quiet enable systemd-networkd ssh ssh-host-key
# Nothing that wakes up by itself while something is measured, and nothing to wait for.
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
    fstrim.timer systemd-timesyncd.service; do
    # Not every release has each of them.
    if [ -e "$root/usr/lib/systemd/system/$unit" ]; then
        chroot "$root" systemctl --quiet disable "$unit"
    fi
done
chroot "$root" systemctl --quiet mask systemd-networkd-wait-online.service \
    systemd-tmpfiles-clean.timer

printf '/dev/vda1 / ext4 rw,noatime 0 0\n' >"$root/etc/fstab"
echo bridgetoll-vm >"$root/etc/hostname"
printf '127.0.0.1 localhost bridgetoll-vm\n::1 localhost\n' >"$root/etc/hosts"
mkdir -p "$root/srv/bridgetoll" "$root/var/lib/bridgetoll" "$root/var/cache/bridgetoll"

# Made at random, or dated, at installation:
rm -f "$root"/var/cache/ldconfig/aux-cache "$root"/var/lib/dbus/machine-id
rm -f "$root"/var/lib/systemd/random-seed "$root"/var/lib/systemd/catalog/database
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root"/tmp/* "$root"/run/*
rm -f "$root"/var/cache/debconf/*
find "$root/var/log" -type f -delete
# Empty means: make one at the first boot.
: >"$root/etc/machine-id"
sed -i -E 's/^([^:]*:[^:]*):[0-9]+:/\1:20000:/' "$root/etc/shadow"
rm -f "$root"/etc/shadow- "$root"/etc/passwd- "$root"/etc/group- "$root"/etc/gshadow- \
    "$root"/etc/subuid- "$root"/etc/subgid-
