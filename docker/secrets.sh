#!/bin/sh
# Makes the secrets that compose.yaml names, each random, in docker/secrets; those that exist are kept.
# The folder is its owner's alone; the files in it can be read by whom they are mounted for.
set -eu
folder=$(dirname "$0")/secrets
mkdir -p "$folder"
chmod 700 "$folder"
for name in ray_token database_password mlflow_password mlflow_session_key grafana_password; do
    if [ ! -s "$folder/$name" ]; then
        od -An -N32 -tx1 /dev/urandom | tr -d ' \n' > "$folder/$name"
    fi
    chmod 444 "$folder/$name"
done
