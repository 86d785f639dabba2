#!/bin/sh
# Puts the content of a file into MLFLOW_TRACKING_PASSWORD, which MLflow's client takes from nowhere else; then runs the
# command.
set -eu
if [ -n "${MLFLOW_TRACKING_PASSWORD_FILE:-}" ]; then
    MLFLOW_TRACKING_PASSWORD=$(cat "$MLFLOW_TRACKING_PASSWORD_FILE")
    export MLFLOW_TRACKING_PASSWORD
fi
exec "$@"
