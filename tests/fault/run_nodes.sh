#!/usr/bin/env bash
# A farm of three machines (nodes.sh) started without Slurm: one killed, one cut off, the coordinator's cut off and replaced. The
# clips are those of an undisturbed run on this machine alone.
source "$(dirname "$0")/farm.sh"
source "$(dirname "$0")/nodes.sh"
ROWS=4
start_nodes 3

campaign calm 12
run calm
finish 0
check_complete calm
launched() { [ "$(times "$1" job.started)" = "$2" ] && held "$1" "$3"; } # NAME TIMES WORKERS
ends_well() { finish 0; check_complete "$1"; same_files calm "$1"; }

# finishers on each machine beside its worker: workers render, finishers of both finish, and one that dies there costs nothing
again apart
provoke "at=finish,rank=4,do=kill,once=$WORK/apart.4; at=finish,rank=3,do=hold,until=$WORK/apart.4"
run_on 1 apart "1 2" --finishers 1
ends_well apart
calm_down
[ -s apart.4 ] || fail "the finisher on the second machine got nothing to do"
[ "$(events apart shot.rendered | grep -vc '"worker":[12],')" = 0 ] || fail "a finisher rendered"
[ "$(events apart clip.approved | grep -vc '"worker":3[,}]')" = 0 ] || fail "a clip was finished by another one than the finisher that was left"
[ "$(leases apart lost)" = 1 ] || fail "a finisher's death cost $(leases apart lost) leases, expected 1"

# a machine dies: mpirun ends with its daemon, and the next job starts on those that answer
again dead
provoke "$HOLD"
run_on 1 dead "1 2 3"
until_true 90 held dead 3
kill_node 2
until_true 90 launched dead 2 2
grep -q "host $NET.2 is left out: it does not answer" dead.err || fail "the machine that died is not named"
release
ends_well dead

# a rank on another machine dies while they join each other: mpirun says so, and the job is started again
again joining
ip link set "$FARM.2" up
provoke "at=join,rank=2,do=kill,once=$WORK/joining.2"
run_on 1 joining "1 2"
ends_well joining
calm_down
[ -s joining.2 ] || fail "no rank was killed"
grep -q 'rank 2 died before the job began' joining.err || fail "nobody noticed the death of rank 2"

# a machine is cut off and says nothing: its shot goes to others after the step limit, the job ends although it cannot be told
again cut
rm go
ip link set "$FARM.2" up
there="at=load,rank=1,do=hold,until=$WORK/has.3; at=load,rank=2,do=hold,until=$WORK/has.3; at=load,rank=3,do=sleep,ms=1,once=$WORK/has.3"
provoke "$there; at=denoise,step=2,rank=3,do=hold,until=$WORK/go; at=report,rank=3,do=sleep,ms=1,once=$WORK/wrote" # the others leave it a shot
run_on 1 cut "1 2 3" --step-limit 5
until_true 90 held cut 1
cut_off 3
ends_well cut
grep -q 'made no progress' out-cut/events.jsonl || fail "nobody noticed that a machine was cut off"
release # what it still does there changes nothing
until_true 60 test -s wrote
check_complete cut
same_files calm cut

# the connection itself is watched: mpirun gives up, and the next job starts on those that answer
again watched
rm go
ip link set "$FARM.3" up
provoke "$HOLD"
PRTE_MCA_oob_tcp_keepalive_time=2 PRTE_MCA_oob_tcp_keepalive_intvl=1 PRTE_MCA_oob_tcp_keepalive_probes=2 run_on 1 watched "1 2 3"
until_true 90 held watched 3
cut_off 3
until_true 90 launched watched 2 2
release
ends_well watched

# the coordinator's machine is cut off with a launcher that sleeps: another takes over, and the old one, awake, may write nothing
again head
rm go
ip link set "$FARM.3" up
run_on 1 head "1 2"
OLD=$LAUNCHER
until_true 90 held head 2
coordinator=$(sed -n 's/.*"job.started".*"pid":\([0-9]*\).*/\1/p' out-head/events.jsonl)
kill -STOP "$OLD"
cut_off 1
run_on 3 head "2 3" --take-over
until_true 90 launched head 2 2
until_true 60 all_gone "$coordinator" # fenced by its own ledger, not ended by its launcher
kill -CONT "$OLD"
status=0
wait "$OLD" || status=$?
[ $status = 3 ] || fail "the old launcher ended with $status, expected 3"
grep -q 'fenced: .* took this campaign over' head.err || fail "the old launcher does not say that it was fenced"
release
ends_well head
[ "$(times head job.started)" = 2 ] || fail "the old launcher started another job"
echo "a machine dead, cut off, watched, and the coordinator's replaced: the same clips"
