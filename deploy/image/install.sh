#!/bin/sh
# What the stages of the Dockerfile share: `packages TARGET` installs what TARGET's lock file names,
# `product TARGET` adds our own wheel, compiles all (a read-only root keeps no bytecode that is made
# later), and writes down what the image is made of.
set -eu
home=/opt/unitcost

into() { /tools/bin/pip --python "$home/bin/python" install -q --no-compile --no-deps "$@"; }

case $1 in
    packages)
        python -m venv --without-pip "$home"
        into --require-hashes --only-binary :all: -r "deploy/image/requirements-$2.lock"
        ;;
    product)
        into --no-index --find-links /wheels unitcost
        "$home/bin/python" -m compileall -q -j 0 --invalidation-mode unchecked-hash "$home/lib"
        mkdir -p /usr/share/unitcost
        /tools/bin/cyclonedx-py environment --output-reproducible --pyproject pyproject.toml \
            -o /usr/share/unitcost/sbom.cdx.json "$home/bin/python"
        ;;
esac
