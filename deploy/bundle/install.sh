#!/bin/sh
# Installs unitcost from this folder; no network is used. Again over an older version: it is replaced.
#
#   ./install.sh [--prefix DIR] [--python PYTHON] [--systemd]
#
# --prefix   where the program goes; /opt/unitcost where nothing is said
# --python   the Python to use, 3.11 or newer: one for which this bundle was made
# --systemd  the service as well, with a first /etc/unitcost/unitcost.yaml; it is not started
set -eu
prefix=/opt/unitcost python=python3 systemd='' root=${DESTDIR:-}

die() {
    echo "install.sh: $*" >&2
    exit 1
}

while [ $# -gt 0 ]; do
    case $1 in
        --prefix | --python)
            [ $# -gt 1 ] || die "$1: a value is missing"
            if [ "$1" = --prefix ]; then prefix=$2; else python=$2; fi
            shift
            ;;
        --systemd) systemd=yes ;;
        *) die "unknown option $1 (--prefix DIR, --python PYTHON, --systemd)" ;;
    esac
    shift
done
case $prefix in /*) ;; *) die "--prefix $prefix: an absolute path is needed" ;; esac
CDPATH='' cd -- "$(dirname -- "$0")"

sha256sum --check --quiet --strict SHA256SUMS || die "this bundle is damaged"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || die "Python 3.11 or newer is needed"
if [ -e "$prefix" ] && [ ! -e "$prefix/pyvenv.cfg" ] && [ -n "$(ls -A "$prefix")" ]; then
    die "$prefix is something else"
fi

# What cannot be installed leaves an older one as it was.
old=$prefix.old
restore() {
    rm -rf "$prefix"
    [ ! -e "$old" ] || mv "$old" "$prefix"
}
[ ! -e "$prefix" ] || { rm -rf "$old" && mv "$prefix" "$old"; }
trap restore EXIT
"$python" -m venv --without-pip "$prefix"
for pip in wheels/pip-*.whl; do :; done
"$prefix/bin/python" "$pip/pip" --isolated install --quiet --no-cache-dir --no-index \
    --disable-pip-version-check --find-links wheels --only-binary :all: --require-hashes \
    -r requirements.lock || die "nothing was changed; is this bundle for $(uname -m) and this Python?"
cp uninstall.sh "$prefix/"
trap - EXIT
rm -rf "$old"
"$prefix/bin/unitcost" --version
[ -n "$systemd" ] || exit 0

mkdir -p "$root/etc/unitcost" "$root/etc/systemd/system" "$root/etc/tmpfiles.d"
sed "s|/opt/unitcost/|$prefix/|g" systemd/unitcost.service >"$root/etc/systemd/system/unitcost.service"
cp systemd/unitcost.tmpfiles "$root/etc/tmpfiles.d/unitcost.conf"
[ -e "$root/etc/unitcost/unitcost.yaml" ] || cp systemd/unitcost.yaml "$root/etc/unitcost/"
if [ -z "$root" ]; then
    systemctl daemon-reload
    systemd-tmpfiles --create unitcost.conf
fi
echo "say what this host costs in /etc/unitcost/unitcost.yaml, then: systemctl enable --now unitcost"
