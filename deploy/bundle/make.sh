#!/bin/sh
# make.sh BIN OUT [PYTHON/MACHINE ...]: `./dev bundle`. Writes OUT/unitcost-VERSION-bundle.tar.gz for
# hosts with these Pythons and machines, as 3.11/x86_64 or 3.12/aarch64; without any, for hosts like
# this one. BIN is the folder with pip, hatchling and python.
set -eu
bin=$(CDPATH='' cd -- "$1" && pwd) out=$2
shift 2
lock=deploy/image/requirements-agent.lock
[ $# -gt 0 ] || set -- "$("$bin/python" -Ic 'import platform, sys
print("{}.{}/{}".format(*sys.version_info[:2], platform.machine()))')"

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)
name=unitcost-$version-bundle
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
into=$work/$name
mkdir -p "$into/wheels" "$out"

# wheels PYTHON MACHINE OPTIONS...: those of a lock file, each checked against its hashes.
wheels() {
    python=$1 machine=$2
    shift 2
    "$bin/pip" download -q --no-deps --only-binary :all: --require-hashes --dest "$into/wheels" \
        --python-version "$python" --platform "manylinux_2_28_$machine" \
        --platform "manylinux_2_17_$machine" --platform "manylinux2014_$machine" "$@"
}

# pip itself, for Pythons that have none.
sed -n '/^pip==/,/[^\\]$/p' deploy/image/requirements-build.lock >"$work/pip.lock"
for host; do
    wheels "${host%/*}" "${host#*/}" -r "$lock"
    wheels "${host%/*}" "${host#*/}" -r "$work/pip.lock"
done
for project in . client; do
    (cd "$project" && "$bin/hatchling" build -t wheel -d "$into/wheels") >"$work/log" 2>&1 || {
        cat "$work/log" >&2
        exit 1
    }
done

cp -p deploy/bundle/install.sh deploy/bundle/uninstall.sh LICENSE docs/install.md "$into/"
cp -r deploy/systemd "$into/systemd"
{
    cat "$lock"
    for wheel in "$into"/wheels/unitcost-"$version"-*.whl; do
        printf 'unitcost==%s --hash=sha256:%s\n' "$version" "$(sha256sum "$wheel" | cut -d' ' -f1)"
    done
} >"$into/requirements.lock"
(cd "$into" && find . -type f ! -name SHA256SUMS | LC_ALL=C sort | xargs sha256sum >"$work/sums")
mv "$work/sums" "$into/SHA256SUMS"

# The same bytes from the same files.
tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -cf - "$name" |
    gzip -9n >"$work/bundle"
mv "$work/bundle" "$out/$name.tar.gz"
echo "$out/$name.tar.gz"
