#!/bin/sh
# Run once by the PostgreSQL image, on an empty volume: MLflow keeps its users apart from its runs.
set -eu
createdb --username "$POSTGRES_USER" mlflow_auth
