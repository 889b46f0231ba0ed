# cluster.sh - a Slurm cluster of two nodes on this machine for a test: munged, slurmctld, two slurmd, without systemd, cgroups or
# a database. Sourced after tests/fault/farm.sh. Everything it writes is in a folder of its own under TMPDIR (a socket's path
# must be short), its ports are free ones, and all of its processes are ended by the trap, whatever happens.
export PATH=$PATH:/usr/sbin:/sbin
for program in munged mungekey slurmctld slurmd sbatch scontrol srun ss; do
  command -v $program >/dev/null || skip "no $program; ./quickstart.sh test installs slurm-wlm, munge and iproute2"
done
CLUSTER=$(mktemp -d "${TMPDIR:-/tmp}/reelwright-slurm.XXXXXX")
chmod 755 "$CLUSTER"

pid_in() { cat "$CLUSTER/run/$1.pid" 2>/dev/null || true; }
environment_has() { grep -qszx "$2" "/proc/$1/environ"; } # no pipe: `grep -q` in one breaks it off, which pipefail takes for "no"
job_processes() { # LINE of their environment, besides SLURM_CONF
  local p
  for p in /proc/[0-9]*; do
    p=${p#/proc/}
    environment_has "$p" "SLURM_CONF=$SLURM_CONF" && environment_has "$p" "$1" && echo "$p"
  done
  return 0
}
step_daemons() { # of these processes; they write over their environment
  local p
  for p in "$@"; do awk '/^PPid/ {print $2}' "/proc/$p/status" 2>/dev/null; done | sort -u | while read -r p; do
    [ "$(cat "/proc/$p/comm" 2>/dev/null)" = slurmstepd ] && echo "$p"
  done
  return 0
}
stop_cluster() {
  local status=$? p
  trap - EXIT INT TERM
  set +e # whatever fails here, the rest is ended too
  if [ $status != 0 ] && [ $status != 77 ]; then { squeue; sinfo -N; tail -n 10 "$CLUSTER"/log/slurm*.log; } >&2; fi
  timeout 5 scancel --user="$(id -un)" 2>/dev/null
  for p in slurmctld slurmd.n1 slurmd.n2; do p=$(pid_in $p); [ -z "$p" ] || kill -9 "$p" 2>/dev/null; done
  for p in /proc/[0-9]*; do # daemons and steps work in their log's folder
    case $(readlink "$p/cwd" 2>/dev/null) in "$CLUSTER"*) kill -9 "${p#/proc/}" 2>/dev/null ;; esac
  done
  for p in $(job_processes .*); do [ "$p" = $$ ] || kill -9 "$p" 2>/dev/null; done
  p=$(pid_in munged); [ -z "$p" ] || kill "$p" 2>/dev/null
  rm -rf "$CLUSTER"
  exit $status
}
trap stop_cluster EXIT
trap 'exit 130' INT TERM

free_ports() { # three in a row that nobody listens on
  local port used
  used=$(ss -Hltn | sed 's/.*:\([0-9]*\) .*/\1/')
  for ((port = 21000 + RANDOM % 8000; ; port += 3)); do
    grep -qx "$port\|$((port + 1))\|$((port + 2))" <<<"$used" || { echo "$port"; return; }
  done
}

write_configuration() {
  local port=$1 node
  cat >"$SLURM_CONF" <<END
ClusterName=reelwright
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
AuthInfo=socket=$CLUSTER/run/munge.socket,cred_expire=5
CredType=cred/munge
SlurmctldPort=$port
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1,sched_min_interval=0
SlurmctldParameters=preempt_send_user_signal
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
ReturnToService=0
SlurmctldTimeout=300
SlurmdTimeout=300
KillWait=5
MinJobAge=600
InactiveLimit=0
JobRequeue=1
SlurmctldLogFile=$CLUSTER/log/slurmctld.log
SlurmdLogFile=$CLUSTER/log/slurmd.%n.log
SlurmctldPidFile=$CLUSTER/run/slurmctld.pid
SlurmdPidFile=$CLUSTER/run/slurmd.%n.pid
StateSaveLocation=$CLUSTER/state
SlurmdSpoolDir=$CLUSTER/spool.%n
TmpFS=$CLUSTER
SlurmdParameters=config_overrides
END
  for node in 1 2; do
    echo "NodeName=n$node NodeHostname=$(uname -n | cut -d. -f1) NodeAddr=127.0.0.1 Port=$((port + node)) CPUs=2 Boards=1" \
      "SocketsPerBoard=1 CoresPerSocket=2 ThreadsPerCore=1 RealMemory=4000 State=UNKNOWN" >>"$SLURM_CONF"
  done
  echo "PartitionName=night Nodes=n1,n2 Default=YES State=UP PriorityTier=1 GraceTime=300" >>"$SLURM_CONF"
  echo "PartitionName=urgent Nodes=n1,n2 State=UP PriorityTier=9 PreemptMode=OFF" >>"$SLURM_CONF"
}

nodes_idle() { [ "$(sinfo -h -N -p night -o %T 2>/dev/null | sort | uniq -c | tr -s ' ')" = " 2 idle" ]; }
start_cluster() {
  export SLURM_CONF=$CLUSTER/slurm.conf
  unset "${!SLURM_JOB@}" "${!SLURMD_@}" SLURM_NODELIST 2>/dev/null || true
  mkdir "$CLUSTER"/{run,log,state,spool.n1,spool.n2}
  write_configuration "$(free_ports)"
  mungekey --create --keyfile="$CLUSTER/munge.key"
  munged --force --key-file="$CLUSTER/munge.key" --socket="$CLUSTER/run/munge.socket" --pid-file="$CLUSTER/run/munged.pid" \
    --log-file="$CLUSTER/log/munged.log" --seed-file="$CLUSTER/run/munged.seed" 2>"$CLUSTER/log/start.err" ||
    skip "munged does not start here: $(head -1 "$CLUSTER/log/start.err")"
  slurmctld -f "$SLURM_CONF" || skip "slurmctld does not start here"
  start_node n1
  start_node n2
  local end=$((SECONDS + 60))
  until nodes_idle; do
    [ $SECONDS -lt $end ] || skip "the nodes of a Slurm cluster do not come up here: $(tail -n 1 "$CLUSTER/log/slurmd.n1.log")"
    sleep 0.2
  done
}
start_node() { slurmd -f "$SLURM_CONF" -N "$1" || skip "slurmd does not start here"; }
return_node() {
  start_node "$1"
  until scontrol update NodeName="$1" State=RESUME 2>/dev/null; do sleep 0.2; done
}
revive_node() {
  return_node "$1"
  until_true 60 node_is_idle "$1"
}
node_is_idle() { sinfo -h -N -n "$1" -p night -o %T | grep -x idle >/dev/null; }

# What Slurm concludes after SlurmdTimeout, at once.
node_is_down() { scontrol update NodeName="$1" State=DOWN Reason=test; }
kill_node() { # everything on it: stopped first, so that none of it acts on another's death (srun ends a step whose srun died)
  local all
  mapfile -t all < <(job_processes "SLURMD_NODENAME=$1")
  all+=("$(pid_in "slurmd.$1")" $(step_daemons "${all[@]}"))
  kill -STOP "${all[@]}" 2>/dev/null || true
  kill -9 "${all[@]}" 2>/dev/null || true
  node_is_down "$1"
}
kill_daemon() { # what it started runs on
  kill -9 "$(pid_in "slurmd.$1")"
  node_is_down "$1"
}

job_says() { scontrol show job --oneliner "$1" 2>/dev/null | sed -n "s/.* $2=\([^ ]*\).*/\1/p" | head -1; }
job_is() { [ "$(job_says "$1" JobState)" = "$2" ]; } # JOB STATE
attempt_is() { [ "$(job_says "$1" Restarts)" = "$2" ] && job_is "$1" RUNNING; } # JOB NUMBER
job_over() { case $(job_says "$1" JobState) in COMPLETED | FAILED | CANCELLED | TIMEOUT | NODE_FAIL) ;; *) false ;; esac; }

# Campaigns on it. The first one runs without Slurm and without disturbance: the others' clips are compared with its.
SCRIPTS=$(cd "$(dirname "$0")/../../slurm" && pwd)
calm_campaign() {
  start_cluster
  export REELWRIGHT=$PROGRAM REELWRIGHT_HOME=$(dirname "$SCRIPTS") REELWRIGHT_GUARD_S=1 REELWRIGHT_ENV=/nonexistent

  campaign calm 12
  run calm
  finish 0
  check_complete calm
}
submit() { # NAME [options]: JOB
  "$PROGRAM" submit "$1.yaml" --out "out-$1" "${@:2}" -- --workers 1 >"$1.submit" 2>"$1.err" || fail "submit $1"
  JOB=$(sed -n 's/^submitted job \([0-9]*\):.*/\1/p' "$1.submit")
  [ -n "$JOB" ] || fail "submit does not say which job it is"
}
log_of() { cat "out-$1"/slurm-*.log 2>/dev/null || true; }
show_log() { log_of "$1" >"$1.err"; }
ends_well() { # JOB NAME
  until_true 120 job_over "$1"
  show_log "$2"
  job_is "$1" COMPLETED || fail "job $1 of $2 ended as $(job_says "$1" JobState)"
  check_complete "$2"
  same_files calm "$2"
}
says() { log_of "$1" | grep "$2" >/dev/null; }
