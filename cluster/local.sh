#!/usr/bin/env bash
# A Ray cluster on loopback addresses of this machine: a head on 127.0.0.2 and WORKERS workers on 127.0.0.3 and up.
# It says how to reach it and stays in the foreground until its head ends; Ctrl-C or SIGTERM ends it, and nothing
# else on the machine.
#
#   WORKERS=2 CPUS=1 cluster/local.sh
#
# PYTHON        interpreter that has ray[default]; jobs find it as `python`        (python3)
# CPUS          cores that each worker offers                                      (1)
# HEAD_CPUS     cores that the head offers                                         (CPUS)
# RESOURCES     custom resources of each worker, as JSON                           ({})
# PORT, DASHBOARD_PORT                              (6380, outside of 10002-19999; 8265)
# AFRL_STORAGE  where the results of jobs go                                       (STATE/storage)
# STATE         folder of token and logs, with a short path: sockets lie in it     (new in /tmp, kept)
set -euo pipefail

workers=${WORKERS:-2} cpus=${CPUS:-1} port=${PORT:-6380} dashboard_port=${DASHBOARD_PORT:-8265}
resources=${RESOURCES:-}
resources=${resources:-"{}"}
url=http://127.0.0.2:$dashboard_port

if (exec 3<> "/dev/tcp/127.0.0.2/$dashboard_port") 2> /dev/null; then
    echo "something answers at $url already: end it, or set DASHBOARD_PORT and PORT to other ones" >&2
    exit 2
fi
if ! python=$(command -v "${PYTHON:-python3}"); then
    echo "PYTHON=${PYTHON:-python3}: there is no such command" >&2
    exit 2
fi
if ! "$python" -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec("ray") is None)'; then
    echo "$python has no Ray: set PYTHON to the interpreter that afrl_ray is installed for, such as .venv/bin/python" >&2
    exit 2
fi
state=${STATE:-$(mktemp -d /tmp/afrl.XXXXXX)}
mkdir -p "$state"
if [[ ! -s $state/token ]]; then
    (umask 077 && "$python" -c 'import secrets; print(secrets.token_hex(32), end="")' > "$state/token")
fi
unset RAY_ADDRESS RAY_API_SERVER_ADDRESS RAY_AUTH_TOKEN
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=$state/token
export AFRL_STORAGE=${AFRL_STORAGE:-$state/storage}
export PATH=${python%/*}:$PATH
mkdir -p "$AFRL_STORAGE"

nodes=()
stop() {
    trap '' INT TERM
    for signal in TERM KILL; do
        for node in "${nodes[@]}"; do kill -s "$signal" -- "-$node" 2> /dev/null || true; done
        for _ in {1..100}; do
            alive=no
            for node in "${nodes[@]}"; do if kill -0 -- "-$node" 2> /dev/null; then alive=yes; fi; done
            if [[ $alive == no ]]; then return; fi
            sleep 0.1
        done
    done
}
trap stop EXIT
trap 'exit 0' INT TERM

# Each node in a session, and so in a process group, of its own; and with a folder of its own, since two nodes take
# each other's unpacked packages away when they share one.
start() {
    local name=$1 attempt
    shift
    for attempt in 1 2 3; do
        if start_once "$name" "$@"; then return; fi
        echo "the $name did not start, attempt $attempt; the end of $state/$name.log:" >&2
        tail -n 5 "$state/$name.log" >&2
        kill -KILL -- "-${nodes[-1]}" 2> /dev/null || true
        unset 'nodes[-1]'
    done
    exit 1
}

# Ray gives a node's agents 15 seconds, which a busy machine may not have
start_once() {
    local name=$1
    shift
    setsid "$python" -m ray.scripts.scripts start --block --disable-usage-stats --dashboard-agent-listen-port=0 \
        --temp-dir="$state/$name" "$@" \
        > "$state/$name.log" 2>&1 < /dev/null &
    nodes+=($!)
    for _ in {1..600}; do
        if [[ $(living_nodes) -ge ${#nodes[@]} ]]; then return 0; fi
        if ! kill -0 "${nodes[-1]}" 2> /dev/null; then return 1; fi
        sleep 0.5
    done
    return 1
}

# nodes that the dashboard knows and that live; 0 while it does not answer
living_nodes() {
    "$python" - "$url/api/v0/nodes?limit=1000&timeout=5" << 'END' 2> /dev/null || echo 0
import json, os, sys, urllib.request

token = open(os.environ["RAY_AUTH_TOKEN_PATH"]).read()
request = urllib.request.Request(sys.argv[1], headers={"Authorization": f"Bearer {token}"})
nodes = json.load(urllib.request.urlopen(request, timeout=5))["data"]["result"]["result"]
print(sum(node["state"] == "ALIVE" for node in nodes))
END
}

start head --head --node-ip-address=127.0.0.2 --port="$port" --num-cpus="${HEAD_CPUS:-$cpus}" \
    --dashboard-host=127.0.0.2 --dashboard-port="$dashboard_port"
for ((worker = 1; worker <= workers; worker++)); do
    start "worker-$worker" --address="127.0.0.2:$port" --node-ip-address="127.0.0.$((worker + 2))" \
        --num-cpus="$cpus" --resources="$resources"
done

echo "export RAY_API_SERVER_ADDRESS=$url RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=$RAY_AUTH_TOKEN_PATH"
echo "ready"
wait "${nodes[0]}" || true
echo "the head has ended; the end of $state/head.log:" >&2
tail -n 5 "$state/head.log" >&2
false
