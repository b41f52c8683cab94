#!/usr/bin/env bash
# bittern embed in jobs of SLURM, as docs/clusters.md has them: an array, srun, cancelled, requeued, submitted again in part; joined, they are
# the bits of the work in one piece.   slurm.sh BITTERN
# It runs a cluster of two nodes by itself: munged, slurmctld and two slurmd of this machine, on loopback, with all they keep in the folder
# of the test. It is skipped where those are not installed (Debian: slurmctld slurmd slurm-client munge) or do not start. setup.sh and test.sh
# do not install them, so where nobody has, as in CI, it is skipped.
command -v munged slurmctld slurmd srun sbatch >/dev/null && [ "$(command -v munged slurmctld slurmd | wc -l)" = 3 ] ||
    { echo "skipped: no SLURM here (Debian: slurmctld slurmd slurm-client munge)"; exit 77; }
. "$(dirname "$0")/common.sh"
unset "${!SLURM_@}" "${!SBATCH_@}" "${!SRUN_@}"
export OMP_WAIT_POLICY=passive # sixteen threads on few cores must not spin

# ---- a cluster ----
cluster=$scratch/cluster daemons=() up=no
down() { # jobs first: a slurmd that ends leaves them running
    [ $up = no ] || timeout 10 scancel --user="$(id -un)" 2>/dev/null
    [ $up = no ] || for ((i = 0; i < 50; i++)); do [ -n "$(timeout 2 squeue -h 2>/dev/null)" ] || break; sleep 0.2; done
    for ((i = ${#daemons[@]} - 1; i >= 0; i--)); do kill "${daemons[i]}" 2>/dev/null; done
    for ((i = 0; i < 50; i++)); do kill -0 "${daemons[@]}" 2>/dev/null || break; sleep 0.2; done
    kill -9 "${daemons[@]}" 2>/dev/null
    wait 2>/dev/null
}
trap 'down; rm -rf "$scratch"' EXIT
cannot() { echo "skipped: $1"; tail -n 3 "$cluster"/*.out; exit 77; }
daemon() { # name, command...
    "${@:2}" >"$cluster/$1.out" 2>&1 &
    daemons+=($!)
}
free_ports() { # three in a row that nobody listens on
    local i
    for ((i = 0; i < 20; i++)); do
        port=$((20000 + RANDOM % 10000))
        (: >/dev/tcp/127.0.0.1/$port || : >/dev/tcp/127.0.0.1/$((port + 1)) || : >/dev/tcp/127.0.0.1/$((port + 2))) 2>/dev/null || return 0
    done
    return 1
}
mkdir -p "$cluster/state" "$cluster/n1" "$cluster/n2" "$cluster/munge"
chmod 755 "$scratch" "$cluster" "$cluster/munge"
head -c 1024 /dev/urandom >"$cluster/munge/key" && chmod 400 "$cluster/munge/key"
free_ports || cannot "no free ports"
# Nodes of 32 processors whatever the machine has; a requeued job starts at once and not after the two minutes that a credential lasts.
cat >"$cluster/slurm.conf" <<CONF
ClusterName=bittern
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=$port
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
AuthInfo=socket=$cluster/munge/socket,cred_expire=5
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation=$cluster/state
SlurmdSpoolDir=$cluster/%n
SlurmctldPidFile=$cluster/slurmctld.pid
SlurmdPidFile=$cluster/%n.pid
SlurmctldLogFile=$cluster/slurmctld.log
SlurmdLogFile=$cluster/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1
MailProg=/bin/true
PlugStackConfig=/dev/null
NodeName=n1 NodeHostname=$(hostname -s) NodeAddr=127.0.0.1 Port=$((port + 1)) CPUs=32
NodeName=n2 NodeHostname=$(hostname -s) NodeAddr=127.0.0.1 Port=$((port + 2)) CPUs=32
PartitionName=all Nodes=n1,n2 Default=YES MaxTime=10 State=UP
CONF
export SLURM_CONF=$cluster/slurm.conf
daemon munged munged -F --key-file="$cluster/munge/key" --socket="$cluster/munge/socket" --pid-file="$cluster/munge/pid" --log-file="$cluster/munge/log" --seed-file="$cluster/munge/seed"
for ((i = 0; i < 50; i++)); do [ -S "$cluster/munge/socket" ] && break; sleep 0.1; done
daemon slurmctld slurmctld -D
daemon n1 slurmd -D -N n1
daemon n2 slurmd -D -N n2
began=$SECONDS
while [ $up = no ]; do # without its controller sinfo waits for minutes
    [ "$(timeout 2 sinfo -h -N -t idle -o %N 2>/dev/null | wc -l)" = 2 ] && up=yes && break
    for pid in "${daemons[@]}"; do kill -0 "$pid" 2>/dev/null || cannot "SLURM does not start here: a daemon ended"; done
    [ $((SECONDS - began)) -lt 20 ] || cannot "SLURM does not start here"
    sleep 0.2
done
echo "$(slurmctld -V), $(munged --version | head -n 1)"

# ---- jobs ----
job= # the last that was submitted
submit() { # arguments of sbatch...
    job=$(sbatch --parsable --output="$scratch/job-%A_%a.txt" "$@") || { job=; return 1; }
}
ended() { # job, seconds: waits until none of it is left, also none that is completing
    local i
    for ((i = 0; i < $2 * 5; i++)); do [ -z "$(squeue -h -j "$1" 2>/dev/null)" ] && return; sleep 0.2; done
    return 1
}
codes() { scontrol -o show job "$1" | grep -o ' ExitCode=[0-9:]*' | sort -u | tr -d '\n'; } # job: exit code and signal, once each
same() { # name: every file of an embedding
    local end
    for end in npy codes.npy labels.npy paths.txt classes.txt; do cmp "$data/whole.$end" "$data/$1.$end" || return 1; done
}
until_there() { # pattern of files
    local i
    for ((i = 0; i < 150; i++)); do compgen -G "$1" >/dev/null && return; sleep 0.1; done
    return 1
}
data=$scratch/data
mkdir "$data" && mv pictures "$data/pictures"
"$bittern" train small.yaml data.root="$data/pictures" train.epochs=1 eval.batch=0 2>log && "$bittern" export run model.safetensors >/dev/null || { cat log; exit 1; }
mkdir bin && ln -s "$bittern" bin/bittern # jobs have the environment of who submits them
PATH=$scratch/bin:$PATH
"$bittern" embed model.safetensors "$data/pictures" "$data/whole.npy" --codes --damaged skip --batch 8 --threads 16 >/dev/null 2>&1
check "in one piece" $?
line() { # output, more options
    echo "bittern embed model.safetensors $data/pictures $data/$1 --codes --damaged skip --batch 8 --threads 16 --shard auto --resume ${*:2}"
}

# An array, and joining it by a job that waits for it.
submit --array=1-8 --cpus-per-task=16 --wrap "$(line array.npy)"
array=$job
submit --dependency=afterok:"$array" --wrap "bittern embed --join $data/array.npy"
check "submitted" $?
ended "$array" 40 && ended "$job" 20
check "an array ends, and the job that waited for it" $?
check "all with exit code 0: $(codes "$array"), $(codes "$job")" "$([ "$(codes "$array")$(codes "$job")" = " ExitCode=0:0 ExitCode=0:0" ]; echo $?)"
check "a task says which shard it is: $(cat job-*_3.txt)" "$(grep -q 'shard 3/8, from SLURM_ARRAY_TASK_ID' job-*_3.txt; echo $?)"
check "an array: the bits of the work in one piece" "$(same array; echo $?)"

# Processes of srun, over both nodes.
# shellcheck disable=SC2046
srun --nodes=2 -n 8 $(line srun.npy) >out 2>err
code=$?
check "srun: $(tail -n 3 err)" $code
check "ranks" "$([ "$(grep -c 'from SLURM_PROCID and SLURM_NTASKS' err)" = 8 ]; echo $?)"
answer "joined" 0 "from 8 shards" embed --join "$data/srun.npy"
check "srun: the bits of the work in one piece" "$(same srun; echo $?)"
# Without srun the script of a job of several tasks is one process, the first: the others are missing, which joining says.
submit -n 4 --wrap "$(line alone.npy)"
ended "$job" 20
answer "srun forgotten" 4 "3 of 4 shards are not done: 2, 3, 4" embed --join "$data/alone.npy"

# Pictures that take long: cancelled in the middle, and submitted again.
slow=(--image 256 --save-seconds 0)
"$bittern" embed model.safetensors "$data/pictures" "$data/long.npy" --codes --damaged skip --batch 8 --threads 16 "${slow[@]}" >/dev/null 2>&1
check "in one piece" $?
joined_long() { # name
    answer "joined" 0 "from 2 shards" embed --join "$data/$1.npy"
    check "$1: the bits of the work in one piece" "$(cmp "$data/long.npy" "$data/$1.npy" && cmp "$data/long.codes.npy" "$data/$1.codes.npy"; echo $?)"
}
submit --array=1-2 --cpus-per-task=16 --wrap "$(line cancelled.npy "${slow[@]}")"
until_there "$data/cancelled.shards/*.work/state.json" && scancel "$job" && ended "$job" 20
check "cancelled" $?
check "saved: $(cat job-"${job}"_*.txt)" "$(grep -q 'interrupted by signal 15; saved at picture' job-"${job}"_*.txt; echo $?)"
answer "not done yet" 4 "" embed --join "$data/cancelled.npy"
submit --array=1-2 --cpus-per-task=16 --wrap "$(line cancelled.npy "${slow[@]}")"
ended "$job" 30
check "the same line again: $(codes "$job")" "$([ "$(codes "$job")" = " ExitCode=0:0" ]; echo $?)"
check "goes on: $(cat job-"${job}"_*.txt)" "$(grep -q 'continues at picture' job-"${job}"_*.txt; echo $?)"
joined_long cancelled
# A part of an array does not know how many there are in all.
submit --array=1-4 --wrap "$(line whole4.npy)"
ended "$job" 20
rm "$data"/whole4.shards/0000[12]-of-00004.*
submit --array=1-2 --wrap "$(line whole4.npy)"
ended "$job" 20
check "tasks 1 and 2 of 4 again: $(cat job-"${job}"_*.txt)" "$([ "$(codes "$job")" = " ExitCode=3:0" ] && grep -q 'holds shards of 4, and this is one of 2' job-"${job}"_1.txt; echo $?)"
submit --array=2,1 --wrap "$(line whole4.npy) --shard \$SLURM_ARRAY_TASK_ID/4"
ended "$job" 20
check "with the number said: $(cat job-"${job}"_*.txt)" "$([ "$(codes "$job")" = " ExitCode=0:0" ]; echo $?)"
answer "joined" 0 "from 4 shards" embed --join "$data/whole4.npy"
check "a part again: the bits of the work in one piece" "$(same whole4; echo $?)"
submit --array=1,4 --wrap "$(line gaps.npy)"
ended "$job" 20
check "with gaps: $(cat job-"${job}"_*.txt)" "$([ "$(codes "$job")" = " ExitCode=2:0" ]; echo $?)"
# Requeued, as when a node fails or another job goes before it.
submit --requeue --open-mode=append --array=1-2 --cpus-per-task=16 --wrap "$(line requeued.npy "${slow[@]}")"
until_there "$data/requeued.shards/*.work/state.json" && scontrol requeue "$job"
check "requeued" $?
ended "$job" 60
check "runs again: $(codes "$job")" "$([ "$(codes "$job")" = " ExitCode=0:0" ]; echo $?)"
check "it was told to end" "$(grep -q 'interrupted by signal 15; saved' job-"${job}"_*.txt; echo $?)"
check "and goes on: $(cat job-"${job}"_*.txt)" "$(grep -q 'continues at picture' job-"${job}"_*.txt; echo $?)"
joined_long requeued
finish
