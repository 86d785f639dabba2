#!/usr/bin/env bash
# An experiment on SLURM: a Ray cluster of the allocation's nodes, and the driver on the first of them.
#
#   sbatch --nodes=4 --cpus-per-task=16 cluster/slurm.sh tune_configs/hopper_beta_kappa.yaml seed=1
#
# AFRL_STORAGE  folder that all nodes mount; results go there     (the folder of sbatch, which clusters share)
# AFRL_ENV      a virtual environment that has the package        (~/.afrl)
#
# Two minutes before its time is up the job is asked to stop; the trials are then saved, and the same sbatch goes on.
#SBATCH --job-name=afrl
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --hint=nomultithread
#SBATCH --time=24:00:00
#SBATCH --signal=B:TERM@120
#SBATCH --open-mode=append
#SBATCH --output=afrl-%j.log
set -euo pipefail

: "${1:?write: sbatch cluster/slurm.sh CONFIG [NAME=VALUE ...]}"
# shellcheck source=/dev/null
source "${AFRL_ENV:-$HOME/.afrl}/bin/activate"
export AFRL_STORAGE=${AFRL_STORAGE:-$SLURM_SUBMIT_DIR}

# A token of this job alone, in a file that only its owner reads.
token=$AFRL_STORAGE/.ray-token-$SLURM_JOB_ID
(umask 077 && python -c 'import secrets; print(secrets.token_hex(32), end="")' > "$token")
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=$token RAY_USAGE_STATS_ENABLED=0

mapfile -t hosts < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
address() { srun --nodes=1 --ntasks=1 --overlap -w "$1" hostname --ip-address | awk '{print $1}'; }
head_ip=$(address "${hosts[0]}")
port=$((20000 + SLURM_JOB_ID % 10000)) # two jobs may share a host; outside of Ray's own 10002-19999
resources=(--num-cpus="${SLURM_CPUS_PER_TASK:-1}" --num-gpus="${SLURM_GPUS_ON_NODE:-0}"
    --temp-dir="/tmp/ray-$SLURM_JOB_ID" --dashboard-agent-listen-port=0)

nodes=()
clean_up() {
    kill "${nodes[@]}" 2> /dev/null || true
    rm -f "$token"
}
trap clean_up EXIT

start() {
    local host=$1
    shift
    srun --nodes=1 --ntasks=1 --overlap --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" -w "$host" \
        ray start --block "${resources[@]}" "$@" &
    nodes+=($!)
}
start "${hosts[0]}" --head --node-ip-address="$head_ip" --port="$port" --dashboard-host=127.0.0.1 --dashboard-port=$((port + 10000))
answers=
for _ in {1..60}; do
    if ray health-check --address "$head_ip:$port" 2> /dev/null; then
        answers=yes
        break
    fi
    kill -0 "${nodes[0]}" 2> /dev/null || break # it has ended already
    sleep 1
done
if [ -z "$answers" ]; then
    echo "error: the Ray head on ${hosts[0]} ($head_ip:$port) does not answer; its own words are above" >&2
    exit 1
fi
for host in "${hosts[@]:1}"; do
    start "$host" --address="$head_ip:$port" --node-ip-address="$(address "$host")"
done

RAY_ADDRESS=$head_ip:$port afrl run "$@" &
driver=$!
trap 'kill -TERM $driver' TERM
status=0
wait $driver || status=$?
if kill -0 $driver 2> /dev/null; then # the signal ended the first wait, and the driver is saving
    status=0
    wait $driver || status=$?
fi
exit $status
