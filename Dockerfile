# One image for the three programs; a pod names the one it runs:
#   args: [server/src/main.js]  |  [queue-worker/src/main.js]  |  [operator/src/main.js]
# It runs as any user, on a read-only root file system with a writable /tmp. An image is the locked dependencies and the
# sources, their types made blanks. Of the same sources, on the same base image, every build has the same layers (with
# `buildah bud --timestamp 0`, or SOURCE_DATE_EPOCH in BuildKit, the same digest too).
ARG BASE_IMAGE=node:24-bookworm-slim

FROM ${BASE_IMAGE} AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
COPY core/package.json core/
COPY server/package.json server/
COPY queue-worker/package.json queue-worker/
COPY operator/package.json operator/
# npm reads every workspace that the lock file has, also one that it does not install.
COPY cli/package.json cli/
# The packages of the three programs alone: without the root's development tools and its own Node. No package's script
# runs: the one of onnxruntime-node would fetch CUDA libraries. A registry of one's own is told by two optional secrets:
#   --secret id=npmrc,src=$HOME/.npmrc --secret id=npm-ca,src=ca.pem
RUN --mount=type=secret,id=npmrc,target=/root/.npmrc \
    --mount=type=secret,id=npm-ca,target=/run/secrets/npm-ca \
    if [ -f /run/secrets/npm-ca ]; then export NODE_EXTRA_CA_CERTS=/run/secrets/npm-ca; fi; \
    npm ci --omit=dev --ignore-scripts --no-audit --no-fund --no-update-notifier \
      --workspace=server --workspace=queue-worker --workspace=operator --include-workspace-root=false
# What no program ever reads: other platforms' binaries, type declarations, source maps, documents, and the parts of
# Swagger UI that are not served.
RUN set -eu; cd node_modules; \
    arch="$(node -p process.arch)"; \
    find onnxruntime-node/bin -mindepth 2 -maxdepth 3 -type d \
      ! -path "*/linux" ! -path "*/linux/${arch}" -prune -exec rm -rf {} +; \
    find swagger-ui-dist -name '*.js' ! -name swagger-ui-bundle.js -delete; \
    rm -rf @types @scarf; \
    find . -type f \( -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' -o -name '*.map' \
      -o -name '*.tsbuildinfo' -o -name '*.bare' \
      -o -iname 'readme*' -o -iname 'changelog*' -o -iname 'history.md' \) -delete; \
    rm -f .package-lock.json; \
    find . -type d -empty -delete
RUN chmod -R u=rwX,go=rX . && find . -exec touch --no-dereference --date=@0 {} +

FROM ${BASE_IMAGE} AS sources
WORKDIR /app
COPY package.json ./
COPY core core/
COPY server server/
COPY queue-worker queue-worker/
COPY operator operator/
COPY scripts/strip-types.ts scripts/
RUN node --disable-warning=ExperimentalWarning scripts/strip-types.ts core server queue-worker operator && rm -r scripts
RUN chmod -R u=rwX,go=rX . && find . -exec touch --no-dereference --date=@0 {} +

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title=riskmodel \
      org.opencontainers.image.description="Operator, server and queue-worker of riskmodel" \
      org.opencontainers.image.licenses=Apache-2.0
# The official onnxruntime reports models and sessions to its makers unless this is set.
ENV NODE_ENV=production ORT_DISABLE_TELEMETRY=1
WORKDIR /app
# The dependencies first: they are most of the image and change least.
COPY --from=dependencies /app/node_modules node_modules/
COPY --from=sources /app ./
# A user that owns nothing in here.
USER 65532:65532
ENTRYPOINT ["node"]
CMD ["server/src/main.js"]
