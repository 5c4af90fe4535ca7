# The container image (docs/install.md). `podman build .` or `docker build .` makes the agent; with
# `--target report` it has what `unitcost report` and `unitcost central` need, too.
#
# What is installed is named in deploy/image/*.lock, each file by its hash (`./dev lock`).
ARG PYTHON=3.11

# --- What builds: nothing of it stays ------------------------------------------------------
FROM python:${PYTHON}-slim AS tools
ENV PIP_DEFAULT_TIMEOUT=60 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1
WORKDIR /src
COPY deploy/image deploy/image
RUN mkdir /empty && python -m venv /tools && /tools/bin/pip install -q --no-deps --require-hashes \
    --only-binary :all: -r deploy/image/requirements-build.lock

FROM tools AS wheel
COPY . .
RUN /tools/bin/hatchling build -t wheel -d /wheels

FROM tools AS install-report
RUN sh deploy/image/install.sh packages report
COPY pyproject.toml README.md LICENSE ./
COPY --from=wheel /wheels /wheels
RUN sh deploy/image/install.sh product

FROM tools AS install-agent
RUN sh deploy/image/install.sh packages agent
COPY pyproject.toml README.md LICENSE ./
COPY --from=wheel /wheels /wheels
RUN sh deploy/image/install.sh product

# --- What runs -----------------------------------------------------------------------------
FROM python:${PYTHON}-slim AS base
ARG REVISION=""
LABEL org.opencontainers.image.title="unitcost" \
      org.opencontainers.image.description="What AI costs per request, per token and per epoch, live, for Prometheus" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV PATH=/opt/unitcost/bin:$PATH
# The ledger's folder, the one place that is written to. (Nothing is run in these stages, so that
# they can be made for another machine's architecture without emulating it.)
COPY --from=tools --chown=65532:65532 /empty /var/lib/unitcost
VOLUME /var/lib/unitcost
EXPOSE 9841
USER 65532:65532
STOPSIGNAL SIGTERM
ENTRYPOINT ["unitcost"]
CMD ["run"]

FROM base AS report
COPY --from=install-report /opt/unitcost /opt/unitcost
COPY --from=install-report /usr/share/unitcost /usr/share/unitcost

FROM base AS agent
COPY --from=install-agent /opt/unitcost /opt/unitcost
COPY --from=install-agent /usr/share/unitcost /usr/share/unitcost
