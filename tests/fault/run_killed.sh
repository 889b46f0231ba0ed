#!/usr/bin/env bash
# The same campaign undisturbed, with a worker killed at every stage, with the whole job killed, with the launcher killed: the
# same twelve files.
source "$(dirname "$0")/farm.sh"

campaign calm 8
run calm
finish 0
check_complete calm
# Before it introduces itself, before its first lease, and in every stage of one; three workers of four in each run. The first
# waits until the coordinator knows that they are dead: so all get there, and the run does not end before a death is told. Checkpoints
# are at every third step, so that there is one to go on from.
deaths() { [ "$(times "$1" worker.died)" = "$2" ]; } # NAME WORKERS: so many are known to be dead
leased() { [ "$(times "$1" lease.given)" -ge "$2" ]; } # NAME COUNT: so many leases were given
killed_at() { # STAGE:STEP:RESUMED...: where workers 2, 3, 4 are killed, and from which step each one's shot then goes on
  local orders="" rank=2 with_shot=0 name one point step resumed lease key went_on
  name=$(printf '%s' "${@%:*}" | tr -d '.:')
  again "$name"
  printf 'checkpoint: {every: 3}\n' >>"$name.yaml"
  for one in "$@"; do
    IFS=: read -r point step resumed <<<"$one"
    orders+="at=$point,step=$step,rank=$rank,do=kill,once=$WORK/$name.$rank; "
    # none dies before all have a shot: a late one would get a dead one's, which goes on from another step
    [[ $point =~ ^(ready|load)$ ]] || { orders+="at=load,rank=$rank,do=hold,until=$WORK/$name.all; "; with_shot=$((with_shot + 1)); }
    rank=$((rank + 1))
  done
  provoke "$orders at=load,rank=1,do=hold,until=$WORK/$name.go"
  WORKERS=$(($# + 1)) run "$name"
  [ $with_shot = 0 ] || until_true 120 leased "$name" $((with_shot + 1))
  touch "$name.all"
  until_true 120 deaths "$name" $#
  touch "$name.go"
  finish 0
  calm_down
  check_complete "$name"
  same_files calm "$name"
  rank=2
  for one in "$@"; do
    IFS=: read -r point step resumed <<<"$one"
    [ -s "$name.$rank" ] || fail "no worker was killed at $point $step"
    events "$name" worker.died | grep "\"worker\":$rank," >/dev/null || fail "nobody noticed the death at $point $step"
    [ "$resumed" = none ] && { rank=$((rank + 1)); continue; } # before it had a lease, or in that of a clip
    went_on=no
    for lease in $(events "$name" lease.ended | sed -n "s/.*\"lease\":\([0-9]*\),.*\"worker\":$rank,\"outcome\":\"lost\".*/\1/p"); do # its shot, and the one that it had decoded beside it
      key=$(events "$name" lease.given | sed -n "s/.*\"lease\":$lease,\"kind\":\"render\",\"shot\":\"\([0-9a-f]*\)\".*/\1/p")
      ! events "$name" shot.rendered | grep "\"$key\".*\"steps_resumed\":$resumed," >/dev/null || went_on=yes
    done
    [ $went_on = yes ] || fail "killed at $point $step: its shot did not go on from step $resumed"
    rank=$((rank + 1))
  done
}
killed_at ready:0:none ready:1:none load:0:0

# while the ranks join each other: MPI_Init waits for the dead one for ever, the launcher does not
again joining
provoke "at=join,rank=2,do=kill,once=$WORK/joining.2"
run joining
finish 0
calm_down
[ -s joining.2 ] || fail "rank 2 was not killed"
grep -q 'rank 2 died before the job began' joining.err || fail "nobody noticed the death of rank 2"
! grep -q 'the coordinator is silent' joining.err || fail "the launcher waited for ranks that cannot join"
check_complete joining
same_files calm joining
killed_at text:1:0 denoise:5:3 publish.h5:0:0
killed_at decode:1:8 master:5:8 publish.mkv:0:8
killed_at report:0:8 finish:4:none encode:5:none
killed_at publish.mp4:0:none publish.png:0:none

# the whole job at once
again job
provoke "at=denoise,step=2,clip=k4,do=hold,until=$WORK/go; at=denoise,step=2,clip=k5,do=hold,until=$WORK/go"
run job
until_true 120 held job 2
kill_whole_job job 5

# only mpirun killed: its launcher starts another, and removes what the first left where programs keep what is temporary
mkdir temporary
export TMPDIR=$WORK/temporary
again driver
provoke "at=denoise,step=2,clip=k4,do=hold,until=$WORK/driver.go; at=denoise,step=2,clip=k5,do=hold,until=$WORK/driver.go"
run driver
until_true 120 held driver 2
driver=$(descendants "$LAUNCHER" | sed -n 2p) # its one child
[ -d "temporary/ompi.$driver" ] || echo "note: this mpirun has no session folder of the name ompi.PID"
segments=$(cat "/proc/$(json driver | sed -n 's/.*"pid": \([0-9]*\).*/\1/p' | head -n 1)/maps" | sed -n 's|.*\(/dev/shm/sm_segment[^ ]*\)\..*|\1|p' | head -n 1)
kill -9 "$driver"
job_again() { [ "$(times driver job.started)" -ge 2 ]; }
until_true 120 job_again
touch driver.go
finish 0
calm_down
check_complete driver
same_files calm driver
[ -z "$(ls temporary)" ] || fail "left behind in TMPDIR: $(ls temporary)"
[ -z "$segments" ] || ! ls "$segments".* 2>/dev/null || fail "shared memory of a job that has ended is left behind"
unset TMPDIR

# only the launcher killed: the job goes with it, nothing lingers, and the next run goes on
again head
provoke "$HOLD"
run head
until_true 120 held head 2
mapfile -t pids < <(descendants "$LAUNCHER")
kill -9 "$LAUNCHER"
finish 137
until_true 60 all_gone "${pids[@]}"
calm_down
run head
finish 0
check_complete head
same_files calm head
echo "killed at fourteen stages, twice as a whole: the same twelve clips"

# first steps that all variants share: one worker computes them; killed at it, the other goes on with them
campaign variants 8
printf 'checkpoint: {every: 1}\nreuse: {trunk_steps: 4}\n' >>variants.yaml
run variants
finish 0
check_complete variants
computed=$(grep -c '"shot.rendered".*"steps_resumed":0,' out-variants/events.jsonl || true)
[ "$computed" = 1 ] || fail "the shared steps were computed $computed times"
[ ! -e out-variants/shared ] || fail "what was shared lies there still"
again felled variants
provoke "at=denoise,step=2,do=kill,once=$WORK/felled.dead"
run felled
finish 0
calm_down
[ -s felled.dead ] || fail "nobody was killed at the shared steps"
check_complete felled
same_files variants felled
grep -q '"shot.rendered".*"steps_resumed":2,' out-felled/events.jsonl || fail "the shared steps began anew"
