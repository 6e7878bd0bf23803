# docker build -t clearway .
# docker run -p 8080:8080 -v ./clearway.yaml:/etc/clearway/clearway.yaml:ro clearway
FROM node:22-bookworm-slim AS build
WORKDIR /clearway
COPY package.json package-lock.json bunfig.toml ./
RUN npm ci --no-audit --no-fund
COPY tsconfig.json ./
COPY build build
COPY src src
RUN npm run build

# The C library and nothing else: no shell, no package manager.
FROM gcr.io/distroless/base-debian12:nonroot
COPY --from=build /clearway/dist/clearway /usr/local/bin/clearway
USER nonroot:nonroot
WORKDIR /etc/clearway
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/clearway"]
CMD ["run", "-c", "/etc/clearway/clearway.yaml"]
