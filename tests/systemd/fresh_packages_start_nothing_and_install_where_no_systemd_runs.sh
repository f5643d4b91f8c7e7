#!/bin/sh
BARE=yes
. /scenarios/support/lib.sh

installed_well() {
    for user in cryftgo-tee cryfttee; do
        id "$user" >/dev/null || fail "$1: no user $user"
    done
    getent group cryftgo >/dev/null || fail "$1: no group cryftgo"
    # Of whatever number, and whoever made it.
    same "$1: the verifier's groups" "cryftgo-tee tss" "$(id -nG cryftgo-tee)"
    same "$1: the sidecar's groups" cryfttee "$(id -nG cryfttee)"
    for folder in conf.d pins.d instances; do
        same "$1: owner and mode of $folder" "root:root 755" "$(stat --format '%U:%G %a' "/etc/cryftgo-tee/$folder")"
    done
    same "$1: is the socket enabled" enabled "$(systemctl is-enabled cryfttee.socket)"
    same "$1: is the service enabled" disabled "$(systemctl is-enabled cryftgo-tee.service || :)"
    same "$1: what dpkg --verify says" "" "$(dpkg --verify cryftgo-tee cryfttee cryfttee-devsigner)"
    for unit in cryfttee.socket cryftgo-tee.service cryfttee-devsigner.service cryfttee-devsigner-eth1.service; do
        same "$1: $unit" inactive "$(property ActiveState "$unit")"
    done
}

# As in a chroot or while a container image is built: nothing under /run says that a systemd runs.
all='cryftgo-tee cryfttee cryfttee-devsigner'
# shellcheck disable=SC2086
files=$(packages_of now $all)
# shellcheck disable=SC2086
unshare --mount sh -ec 'mount -t tmpfs tmpfs /run; dpkg --install "$@"; dpkg --install "$@"' sh $files </dev/null ||
    fail "without a systemd: exit code $?"
systemctl daemon-reload
installed_well "without a systemd"
# shellcheck disable=SC2086
unshare --mount sh -ec 'mount -t tmpfs tmpfs /run; dpkg --purge "$@"' sh $all </dev/null || fail "the purge: exit code $?"
systemctl daemon-reload
! systemctl is-enabled cryfttee.socket 2>/dev/null || fail "after a purge the socket is still enabled"

# shellcheck disable=SC2086
dpkg_install now $all
installed_well "under systemd"
# Every file of configuration that is shipped is one that the verifier takes.
find /etc/cryftgo-tee /usr/lib/cryftgo-tee /usr/share/doc/cryftgo-tee -name '*.toml' >/run/configurations
has /run/configurations /etc/cryftgo-tee/cryftgo-tee.toml || fail "no configuration is shipped"
while read -r file; do
    cryftgo-tee config check "$file" || fail "$file: exit code $?"
done </run/configurations
# Removed and installed again, twice each: nothing that a script does depends on its being the first time.
for _ in 1 2; do
    # shellcheck disable=SC2086
    dpkg --remove $all </dev/null || fail "remove: exit code $?"
    # shellcheck disable=SC2086
    dpkg_install now $all
done
installed_well "installed again"
