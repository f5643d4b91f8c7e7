# Sourced by every scenario: installs the project the way a package does, and gives the words that scenarios are told in.
# shellcheck shell=sh

# The claim that did not hold; nothing after it is tried.
fail() {
    echo "FAILED: $*"
    exit 1
}

# The claim cannot be shown here, for this reason; nothing after it is tried.
skip() {
    echo "SKIPPED: $*"
    exit 0
}

# same WHAT EXPECTED ACTUAL
same() {
    [ "$2" = "$3" ] || fail "$1 is '$3', expected '$2'"
}

now_ms() {
    date +%s%3N
}

# within SECONDS COMMAND…: tries until it succeeds, and fails when the time is over.
within() {
    until_ms=$(($(now_ms) + $1 * 1000))
    shift
    until "$@"; do
        [ "$(now_ms)" -lt "$until_ms" ] || return 1
        sleep 0.02
    done
}

# property NAME [UNIT]
property() {
    systemctl show --property "$1" --value "${2:-cryftgo-tee.service}"
}

is_state() {
    [ "$(property ActiveState "${2:-cryftgo-tee.service}")" = "$1" ]
}

# The processes of a user, one pid on each line.
processes_of() {
    for folder in /proc/[0-9]*; do
        # A process may end between the listing and the look.
        [ "$(stat --format %U "$folder" 2>/dev/null)" = "$1" ] && echo "${folder#/proc/}"
    done
    :
}

# field PID NAME: from /proc/PID/status, without the name.
field() {
    sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status"
}

verifier_pid() {
    property MainPID
}

# The sidecar is what the verifier started as the user cryfttee. Nothing where there is none.
sidecar_pid() {
    for pid in $(processes_of cryfttee); do
        [ "$(field "$pid" PPid 2>/dev/null)" = "$(verifier_pid)" ] && echo "$pid"
    done
    :
}

# A process that has ended and was not reaped is gone too.
is_gone() {
    case "$(field "$1" State 2>/dev/null)" in
    '' | Z*) ;;
    *) return 1 ;;
    esac
}

# api METHOD PATH [BODY]: as root, who may connect to every socket.
api() {
    xtask test call "$@"
}

# as_client GROUPS METHOD PATH: as an ordinary user who is in these groups.
as_client() {
    client_groups=$1
    shift
    setpriv --reuid=nobody --regid=nogroup --groups="$client_groups" xtask test call "$@"
}

# dropin UNIT: standard input becomes a drop-in of the unit.
dropin() {
    mkdir -p "/run/systemd/system/$1.d"
    cat >"/run/systemd/system/$1.d/scenario.conf"
    systemctl daemon-reload
}

# For scenarios in which the verifier is killed: with the old control groups, systemd 257 may miss that the last process of a
# unit has ended, and waits TimeoutStopSec= for it. That is this kind of host's, not ours.
hurry() {
    mkdir -p /run/systemd/system/cryftgo-tee.service.d
    printf '[Service]\nTimeoutStopSec=2\n' >/run/systemd/system/cryftgo-tee.service.d/hurry.conf
    systemctl daemon-reload
}

# Standard input becomes a drop-in of the verifier's configuration.
configure() {
    cat >/etc/cryftgo-tee/conf.d/scenario.toml
}

# messages UNIT: what the journal has of it, text only.
messages() {
    journalctl --sync
    journalctl --no-pager --boot --output=cat --unit "$1"
}

# What the operator of two Web3Signers writes down, as README.md has it. A scenario that says something else does so by
# `configure`, whose file comes after this one.
name_signers() {
    cat >/etc/cryftgo-tee/conf.d/10-web3signer.toml <<END
[web3signer]
url = "http://localhost:9000"
eth1_url = "http://localhost:9001"
key_generation = "import"
END
}

# Both processes, and where a scenario has installed packages itself, what the verifier has to know of them.
start_signer() {
    [ ! -d /etc/cryftgo-tee/conf.d ] || [ -e /etc/cryftgo-tee/conf.d/10-web3signer.toml ] || name_signers
    systemctl start cryfttee-devsigner.service
}

start_all() {
    start_signer
    systemctl start cryftgo-tee.service || fail "systemctl start cryftgo-tee.service: $(property Result)"
    is_state active || fail "the verifier is $(property ActiveState) after a start that succeeded"
}

# What Debian's installer writes and debootstrap does not. Both families, because then `localhost` is also a name with an
# address that nobody listens on.
name_this_host() {
    printf '127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n' >/etc/hosts
}

# What a package's scripts do.
install_like_a_package() {
    cp --recursive --preserve=mode /package/. /
    systemd-sysusers
    systemd-tmpfiles --create cryftgo-tee.conf
    journalctl --update-catalog
    systemctl daemon-reload
    systemctl preset --quiet cryfttee.socket cryftgo-tee.service
    name_signers
}

# pin FILE: its hash becomes the one reference value.
pin() {
    printf '%s  /usr/bin/cryfttee\n' "$(hash_of "$1")" >/usr/lib/cryftgo-tee/pins.d/cryfttee
}

# pin_too FILE: its hash becomes one more reference value.
pin_too() {
    printf '%s  /usr/bin/cryfttee\n' "$(hash_of "$1")" >>/etc/cryftgo-tee/pins.d/scenario
}

# next_version FILE: makes another sidecar that works as well as the installed one and has another hash. What follows the
# end of an ELF file is not looked at by anybody who runs it.
next_version() {
    cp /usr/bin/cryfttee "$1"
    printf 'the next version' >>"$1"
}

# rename_over FILE: puts it in the sidecar's place the way a package manager does.
rename_over() {
    cp "$1" /usr/bin/.cryfttee.new
    mv /usr/bin/.cryfttee.new /usr/bin/cryfttee
}

# faulty FAULT: the sidecar is one that has this fault and is pinned like a good one (tests/support/bad_sidecar.rs).
faulty() {
    rename_over /usr/local/lib/cryftgo-tee-tests/bad-sidecar
    pin /usr/bin/cryfttee
    mkdir -p /run/systemd/system/cryftgo-tee.service.d
    printf '[Service]\nEnvironment=CRYFTTEE_FAULT=%s\n' "$1" >/run/systemd/system/cryftgo-tee.service.d/fault.conf
    systemctl daemon-reload
}

# status_says TEXT: whether STATUS has it.
status_says() {
    case "$(property StatusText)" in
    *"$1"*) ;;
    *) return 1 ;;
    esac
}

# has FILE TEXT: whether the text is in it, as it is.
has() {
    grep -qF -e "$2" "$1"
}

hash_of() {
    sha256sum "$1" | cut -d ' ' -f 1
}

# flip_a_bit FILE
flip_a_bit() {
    byte=$(dd if="$1" bs=1 skip=4096 count=1 status=none | od -An -tu1)
    # shellcheck disable=SC2059
    printf "\\$(printf %o $((byte ^ 1)))" | dd of="$1" bs=1 seek=4096 conv=notrunc status=none
}

# last_of NAME FIELD: this field of the last audit event with this name; what is text only.
last_of() {
    journalctl --sync
    journalctl --no-pager --boot --output=json --output-fields="$2" --lines=1 "CRYFTTEE_EVENT=$1" |
        sed -n "s/.*\"$2\":\"\([^\"]*\)\".*/\1/p"
}

# told NAME [TIMES]: whether there are so many audit events with this name, or more.
told() {
    [ "$(count_of "$1")" -ge "${2:-1}" ]
}

# How many audit events with this name there are.
count_of() {
    events "$1" | grep -c . || :
}

# events NAME: the messages of the audit events with this name.
events() {
    journalctl --sync
    journalctl --no-pager --boot --output=cat "CRYFTTEE_EVENT=$1"
}

# How often systemd started the verifier's process in this boot.
starts() {
    journalctl --sync
    journalctl --no-pager --boot --output=cat --unit cryftgo-tee.service _PID=1 | grep -c '^Starting ' || :
}

# The verifier has failed, its socket is closed, and nothing is about to change that.
is_down() {
    is_state failed && ! is_state active cryfttee.socket && [ ! -e /run/cryfttee.sock ] &&
        is_state inactive cryftgo-tee-down.service &&
        messages cryftgo-tee-down.service | grep -q 'is down and its socket closed'
}

# packages_of VERSION NAME…: the .deb files of `now` or `next`.
packages_of() {
    version=$1
    shift
    for name in "$@"; do
        echo "/packages/$version/${name}"_*.deb
    done
}

# dpkg_install VERSION NAME…
dpkg_install() {
    # shellcheck disable=SC2046
    dpkg --install $(packages_of "$@") </dev/null || fail "dpkg --install $*: exit code $?"
}

# A later boot finds what the first one installed. A scenario with BARE=yes installs packages itself.
if [ "${BOOT:-1}" -eq 1 ]; then
    name_this_host
    if [ -n "${BARE:-}" ]; then
        # The client that scenarios speak with is in no package.
        cp /package/usr/local/bin/xtask /usr/local/bin/
    else
        install_like_a_package
    fi
fi
