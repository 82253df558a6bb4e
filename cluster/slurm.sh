#!/usr/bin/env bash
# A pipeline on N nodes of a Slurm cluster: Ray starts on all of them, and stops when it ends.
#
#   sbatch --nodes=4 cluster/slurm.sh python pipelines/preprocess.py --data /shared/photographs
#   sbatch --nodes=2 --gpus-per-node=1 cluster/slurm.sh \
#     python pipelines/train_siamese.py --set training.use_gpu=true --set training.num_workers=2
#
# Starts: one Ray node a Slurm node, with the processors and GPUs that Slurm gives it there; the
#   pipeline runs on the first one. The same command goes on where a job was stopped.
# Size: nodes × --cpus-per-task; 9,700 photographs take 1.1 core-hours (README.md).
# Cost: nodes × hours, in whatever your site counts.
#
# Before: `make setup` in this folder (GPU=1 for GPUs), on storage that all nodes reach.

#SBATCH --job-name=camid
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --mem=0
#SBATCH --exclusive
#SBATCH --time=08:00:00

# All memory of each node. Exclusive, for at its end `ray symmetric-run` stops every Ray of this
# user on a node.
set -euo pipefail

(($#)) || { echo "camid: expected a command, such as python pipelines/preprocess.py" >&2; exit 2; }
cd "${SLURM_SUBMIT_DIR:?expected Slurm; start this with sbatch}"
[ -x .venv/bin/ray ] || { echo "camid: no .venv in $PWD; run make setup there first" >&2; exit 2; }
export PATH="$PWD/.venv/bin:$PATH"
export CAMID_HOME="${CAMID_HOME:-$PWD}"

# A token of this job's own, that its user alone can read, beside the .venv that all nodes reach.
export RAY_AUTH_MODE=token
export RAY_AUTH_TOKEN_PATH="$PWD/.ray-token-$SLURM_JOB_ID"
trap 'rm -f "$RAY_AUTH_TOKEN_PATH"' EXIT
(umask 077 && python -c 'import secrets; print(secrets.token_hex(), end="")' >"$RAY_AUTH_TOKEN_PATH")

nodes=$SLURM_JOB_NUM_NODES
names=$(scontrol show hostnames "$SLURM_JOB_NODELIST")
addresses=$(srun --nodes=1 --ntasks=1 --nodelist="${names%%$'\n'*}" hostname --all-ip-addresses)
address=${addresses%% *}
port=$((20000 + SLURM_JOB_ID % 10000)) # two jobs' Rays never meet
export RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT=300
export RAY_USAGE_STATS_ENABLED=0

srun --nodes="$nodes" --ntasks="$nodes" --ntasks-per-node=1 \
  ray symmetric-run --address "$address:$port" --min-nodes "$nodes" \
  --num-cpus="$SLURM_CPUS_PER_TASK" --num-gpus="${SLURM_GPUS_ON_NODE:-0}" \
  --dashboard-host=127.0.0.1 --disable-usage-stats \
  -- env RAY_ADDRESS="$address:$port" "$@"
