# One image for workers, trainer and web server; which one is the command (see docker-compose.yml).
FROM node:22-bookworm-slim AS client
WORKDIR /client
COPY frontend/package.json frontend/package-lock.json frontend/.npmrc ./
RUN npm ci --no-audit --no-fund
COPY frontend/web web
RUN npm run build

FROM python:3.11-slim-bookworm
# Spark needs Java; libsndfile is inside the soundfile wheel
RUN apt-get update \
    && apt-get install -y --no-install-recommends openjdk-17-jre-headless \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/segue
ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 SEGUE_DATA_DIR=/data
COPY requirements-build.lock requirements.lock ./
RUN pip install --require-hashes -r requirements-build.lock \
    && pip install --require-hashes --no-build-isolation -r requirements.lock
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY schemas schemas
COPY recommender recommender
COPY connections connections
COPY agents agents
COPY etl etl
COPY training training
COPY frontend/*.py frontend/
COPY frontend/routes frontend/routes
COPY stack stack
COPY --from=client /client/web/dist frontend/web/dist
# editable: the top-level names are generic and are never published as a library
RUN pip install --no-deps --no-build-isolation -e . \
    && useradd --create-home --uid 10001 segue \
    && mkdir /data && chown segue /data
USER segue
VOLUME /data
CMD ["segue", "--help"]
