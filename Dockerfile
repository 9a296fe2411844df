# The engine alone, without a database: give it a PostgreSQL 15 or newer by IBORA_DATABASE__URL.

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked --package ibora --bin ibora

FROM debian:bookworm-slim
# curl for the health check below; certificates for calls to providers.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates curl \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/ibora --create-home ibora
COPY --from=build /src/target/release/ibora /usr/local/bin/ibora
USER 10001
WORKDIR /var/lib/ibora
VOLUME /var/lib/ibora
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["curl", "--fail", "--silent", "--output", "/dev/null", "http://127.0.0.1:8080/health"]
ENTRYPOINT ["ibora"]
CMD ["serve"]
