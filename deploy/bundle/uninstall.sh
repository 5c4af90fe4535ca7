#!/bin/sh
# Removes what install.sh installed. Configuration and ledger stay, unless --purge.
#
#   /opt/unitcost/uninstall.sh [--prefix DIR] [--purge]
set -eu
prefix=/opt/unitcost purge='' root=${DESTDIR:-}

die() {
    echo "uninstall.sh: $*" >&2
    exit 1
}

while [ $# -gt 0 ]; do
    case $1 in
        --prefix)
            [ $# -gt 1 ] || die "$1: a value is missing"
            prefix=$2
            shift
            ;;
        --purge) purge=yes ;;
        *) die "unknown option $1 (--prefix DIR, --purge)" ;;
    esac
    shift
done
[ -e "$prefix/pyvenv.cfg" ] && [ -e "$prefix/bin/unitcost" ] || die "no unitcost in $prefix"

unit=$root/etc/systemd/system/unitcost.service
if [ -e "$unit" ]; then
    [ -n "$root" ] || systemctl disable --now unitcost
    rm -f "$unit" "$root/etc/tmpfiles.d/unitcost.conf"
    [ -n "$root" ] || systemctl daemon-reload
fi
rm -rf "$prefix"
if [ -n "$purge" ]; then
    # With DynamicUser= the ledger lies in private/, and a link leads there.
    rm -rf "$root/etc/unitcost" "$root/var/lib/unitcost" "$root/var/lib/private/unitcost" \
        "$root/run/unitcost"
else
    echo "left as they are: /etc/unitcost and /var/lib/unitcost (--purge removes them)"
fi
