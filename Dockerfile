# One user's server: mount the login's folder and a key, as compose.yaml does. The root may be read-only.
FROM python:3.13-slim AS build
WORKDIR /source
COPY . .
RUN python3 -m venv /opt/codexapi && \
    /opt/codexapi/bin/pip install --no-cache-dir --require-hashes -r constraints.txt && \
    /opt/codexapi/bin/pip install --no-cache-dir --no-deps .

FROM python:3.13-slim
RUN useradd --create-home --uid 1000 codexapi && \
    install -d -o codexapi -g codexapi /home/codexapi/.codex && \
    install -d -m 1777 /state
COPY --from=build /opt/codexapi /opt/codexapi
# The user may be another one, who has no entry in the list of users: so HOME is set.
ENV PATH=/opt/codexapi/bin:$PATH HOME=/home/codexapi CODEXAPI_STATE_DIR=/state/codexapi
WORKDIR /home/codexapi
USER 1000:1000
VOLUME ["/state"]
EXPOSE 18080
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["python3", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:18080/healthz', timeout=4)"]
ENTRYPOINT ["codexapi"]
CMD ["serve", "--host", "0.0.0.0", "--api-key-file", "/run/secrets/codexapi-key", "--state", "/state/objects.sqlite3"]
