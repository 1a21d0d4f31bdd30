# syntax=docker/dockerfile:1

# The container image: the program, its site, the models and ONNX Runtime on a slim Debian, run by
# a user without rights. Both stages use the same Debian release, because the program is linked to
# its C library. ONNX Runtime also needs libstdc++6, which apt brings along.

FROM rust:1.95.0-slim-bookworm AS build
RUN apt-get update \
 && apt-get install --yes --no-install-recommends make nasm nodejs npm python3 python3-venv \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# The cache keeps compiled dependencies and downloads from one build to the next. It is no part of
# the image.
RUN --mount=type=cache,target=/cache CATTO_CACHE=/cache make build models

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 10001 cattocdn \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data cattocdn \
 && install --directory --owner cattocdn --group cattocdn --mode 750 /data
COPY --from=build /src/dist /app
COPY --from=build /src/models /models
# Whoever passes the image on passes on what is by others in it.
COPY NOTICES.md LICENSE-APACHE LICENSE-MIT /app/
ENV CATTO_LISTEN=0.0.0.0:3000 \
    CATTO_DATA_DIR=/data \
    CATTO_MODELS_DIR=/models
WORKDIR /app
USER cattocdn
VOLUME /data
EXPOSE 3000
STOPSIGNAL SIGTERM
ENTRYPOINT ["/app/cattocdn"]
CMD ["serve"]
