#!/bin/sh
# MLflow's server: runs in PostgreSQL, artifacts through the server into /storage, names and passwords from secrets.
set -eu
secret() { cat "/run/secrets/$1"; }

PGPASSFILE=/tmp/pgpass
MLFLOW_AUTH_CONFIG_PATH=/tmp/basic_auth.ini
MLFLOW_FLASK_SERVER_SECRET_KEY=$(secret mlflow_session_key)
export PGPASSFILE MLFLOW_AUTH_CONFIG_PATH MLFLOW_FLASK_SERVER_SECRET_KEY
umask 077
echo "database:5432:*:mlflow:$(secret database_password)" > "$PGPASSFILE"
cat > "$MLFLOW_AUTH_CONFIG_PATH" << END
[mlflow]
default_permission = READ
database_uri = postgresql+psycopg2://mlflow@database/mlflow_auth
admin_username = admin
admin_password = $(secret mlflow_password)
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
END

# jobs of MLflow's own are for language models, and take 500 MB
MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false MLFLOW_DISABLE_TELEMETRY=true exec mlflow server \
    --app-name=basic-auth --host=0.0.0.0 --port=5000 --workers="${WORKERS:-2}" \
    --allowed-hosts="mlflow,mlflow:5000,localhost:*,127.0.0.1:*" \
    --backend-store-uri=postgresql+psycopg2://mlflow@database/mlflow \
    --artifacts-destination=/storage/mlartifacts --serve-artifacts
