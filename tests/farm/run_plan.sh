#!/usr/bin/env bash
# A campaign measured by `bench`, planned by `plan`, then run: what was forecast and what happened. Chance has its say on a busy machine, so
# the forecast may be wrong by half here; tests/farm/PLAN.md has the comparison on a quiet one.
source "$(dirname "$0")/../fault/farm.sh"

printf '%s\n' id a b c d e f >plan.csv
printf 'campaign: plan\nmodel: %s\ncustomers: plan.csv\nprompt: "a cat {{id}}"\nsize: 32x32\nframes: 5\nfps: 8\nsteps: 2\nrenditions: [preview]\n' "$MODEL" >plan.yaml
"$PROGRAM" bench plan.yaml --nights 2 --workers 1 --scratch . --out record.json >bench.txt 2>bench.err || fail "bench: $(cat bench.err)"
grep -q '"format": "reelwright-record 1"' record.json || fail "no record"
grep -q '<polyline' record.html || fail "no page with the record"
for key in write_mb_s fsync_p50_ms files_per_s clips_per_hour_and_node clips_per_hour_and_core; do
  grep -q "\"$key\": [0-9.]*[1-9]" record.json || fail "the record has no $key: $(cat record.json)"
done
for key in renderer_bytes start finish clip_bytes master_bytes checkpoint_bytes first_frame_s; do
  tr -d '\n ' <record.json | grep -Eq "\"$key\":\[?[0-9.]*[1-9]" || fail "the record has no $key: $(cat record.json)"
done
grep -q 'energy  processors: .*; GPUs: ' bench.txt || fail "no word of energy: $(cat bench.txt)"
grep -q 'one fsync, p99' record.html || fail "the page does not show the file system"
[ -z "$(ls -d reelwright-bench-* 2>/dev/null)" ] || fail "the scratch folder is left behind"
"$PROGRAM" plan plan.yaml --record record.json --deadline 100000 --failures 5 --node-cost 2 --watts 300 --json >plan.json || fail "plan"
for key in shots clips record nodes groups group_size render_s finish_s finish_at deadline nodes_for_deadline gpu_hours core_hours energy_kwh cost \
  checkpoint_every_s trials; do
  grep -q "\"$key\"" plan.json || fail "plan --json has no $key"
done
grep -q '"nodes_for_deadline": 1,' plan.json || fail "one node keeps a deadline that far away: $(cat plan.json)"
"$PROGRAM" plan plan.yaml --record record.json >plan.txt || fail "plan as text"
begin=$(date +%s.%N)
"$PROGRAM" run plan.yaml --out out --workers 1 --quiet 2>run.err || fail "run: $(cat run.err)"
took=$(awk -v a="$begin" -v b="$(date +%s.%N)" 'BEGIN { print b - a }')
forecast=$(sed -n 's/.*"p50": \([0-9.]*\).*/\1/p' plan.json)
echo "forecast $forecast s, took $took s"
awk -v t="$took" -v f="$forecast" 'BEGIN { exit !(t < 2.5 * f && f < 2.5 * t) }' || fail "forecast $forecast s, but it took $took s"
"$PROGRAM" plan plan.yaml --record out --json >again.json || fail "a folder as a record"
grep -q 'one night only' again.json || fail "a record of one night does not say so"

# Leases that fail are a part of the record, and of the plan: one of thirteen.
provoke "at=denoise,step=1,do=fail.retry,once=$WORK/failed"
"$PROGRAM" run plan.yaml --out out-failing --workers 2 --quiet 2>run.err || fail "run with a lease that fails: $(cat run.err)"
calm_down
[ "$(leases failing failed)" = 1 ] || fail "no lease failed: $(events failing lease.ended)"
"$PROGRAM" plan plan.yaml --record out-failing --json >failing.json || fail "plan of a record with a failed lease"
grep -q '"failing_leases": 0.07692' failing.json || fail "one of thirteen leases failed: $(cat failing.json)"

# What submit makes of a plan, with a stand-in for sbatch: as many nodes as the deadline needs, and a report that compares.
mkdir -p bin
printf '#!/bin/sh\necho 4711\n' >bin/sbatch
chmod +x bin/sbatch
when=$(date -d '+3 hours' '+%Y-%m-%d %H:%M')
PATH=$PWD/bin:$PATH "$PROGRAM" submit plan.yaml --out planned --nodes auto --record record.json --deadline "$when" -- --workers 1 >submit.txt 2>submit.err ||
  fail "submit --nodes auto: $(cat submit.err)"
grep -q '^#SBATCH --nodes=1$' planned/campaign.sbatch || fail "a node keeps that deadline: $(grep nodes planned/campaign.sbatch)"
grep -q '"nodes": 1,' planned/plan.json || fail "the plan is not kept"
"$PROGRAM" run plan.yaml --out planned --workers 1 --quiet 2>run.err || fail "run where submit has planned: $(cat run.err)"
grep -q '<dt>planned<dd>' planned/report/index.html || fail "the report does not say what was planned"
grep -q '<dt>it took<dd>' planned/report/index.html || fail "the report does not compare"
for bad in "--nodes auto --deadline 23:59" "--nodes auto --record record.json" "--nodes some"; do
  code=0
  # shellcheck disable=SC2086
  "$PROGRAM" submit plan.yaml --out refused $bad --dry-run >/dev/null 2>refused.err || code=$?
  [ $code = 2 ] || fail "submit $bad: status $code: $(cat refused.err)"
done
"$PROGRAM" plan plan.yaml --record record.json --dies-at 1 --preemptions 2 --requeue 60 --json >dies.json || fail "plan of a job that dies"
grep -q '"coordinator_at": 1' dies.json || fail "the death is not told: $(cat dies.json)"
awk -v a="$forecast" -v b="$(sed -n 's/.*"p50": \([0-9.]*\).*/\1/p' dies.json)" 'BEGIN { exit !(b > a) }' || fail "a death costs nothing: $(cat dies.json)"

# What is shared and left out: a plan of one record counts the evaluations that the run then makes (both branches of each step), also from a record
# of a campaign that shares.
sed 's/^campaign: plan/campaign: trunk/; s/^steps: 2/steps: 9/' plan.yaml >whole.yaml
{ cat whole.yaml; printf 'seed: 7\nreuse: {trunk_steps: 6}\n'; } >trunk.yaml
"$PROGRAM" plan whole.yaml --record record.json --json >whole.json || fail "plan of nine steps"
grep -q '"all": 108,' whole.json || fail "six renders of nine steps are 108 evaluations: $(cat whole.json)"
cat >slow.json <<'RECORD'
{"format": "reelwright-record 1", "work": {"width": 32, "height": 32, "frames": 5, "steps": 9, "guidance": 5, "evaluations": 18}, "nodes": 1, "workers": 1,
 "group_size": 1, "finishers": 0, "both": true, "load_s": [1], "render_s": [100], "finish_s": [1], "stages": {"text_s": 0, "denoise_s": 90, "decode_s": 10},
 "start_s": 1, "end_s": 1, "gap_s": 0, "run_sd": 0, "worker_sd": 0}
RECORD
"$PROGRAM" plan whole.yaml --record slow.json --json >whole.json || fail "plan of a slow record"
# Every row is a render of its own, by its id in the prompt and by its seed: one render of 100 s and six finishes are 1:49 min.
grep -q '`id` (prompt) left out of the renders, told by voice or overlays instead, and one seed for all (`seed: 7`): 1 render instead of 6: done after 1:49 min instead of 10:09 min' whole.json ||
  fail "no word of what makes renders distinct: $(cat whole.json)"
# Six renders of 100 s and finishes of 1 s, 1 s to load, 1 s before and after; half of the steps of five renders are 200 s, a third of all 180 s.
grep -q 'trunk_steps: 4} and `seed: 7`: 1 trunk for 6 renders: done after 6:49 min instead of 10:09 min' whole.json || fail "no word of first steps to share: $(cat whole.json)"
grep -q 'if 3 of 9 steps may be reused: done after 7:09 min instead of 10:09 min' whole.json || fail "no word of a cache: $(cat whole.json)"
"$PROGRAM" plan trunk.yaml --record record.json --json >trunk.json || fail "plan of shared steps"
"$PROGRAM" run trunk.yaml --out out-trunk --workers 2 --quiet 2>run.err || fail "run of shared steps: $(cat run.err)"
made=$(events trunk shot.rendered | sed 's/.*"steps":\([0-9]*\).*/\1/' | awk '{ n += 2 * $1 } END { print n }')
grep -q "\"all\": $made," trunk.json || fail "$made evaluations were made, planned: $(cat trunk.json)"
grep -q '"without_savings": 108' trunk.json || fail "without them it would be 108: $(cat trunk.json)"
"$PROGRAM" plan trunk.yaml --record out-trunk --json >trunk.json || fail "a record of shared steps"
grep -q "\"all\": $made," trunk.json || fail "the same from that record: $(cat trunk.json)"
grep -q 'fewer than 5 renders' trunk.json && fail "renders that took their first steps from others are no part of the record: $(cat trunk.json)"

# Which columns make renders distinct: twelve rows of three places at two times. With one seed names alone make twelve of six; without place it is two.
{
  echo id,name,place,time
  for i in 0 1 2 3 4 5 6 7 8 9 10 11; do echo "c$i,name$((i / 6)),place$((i % 3)),time$((i % 2))"; done
} >share.csv
sed 's/^campaign: plan/campaign: share/; s/plan.csv/share.csv/; s/^steps: 2/steps: 9\nseed: 7/; s/"a cat {{id}}"/"{{name}} at {{place}}"\nnegative: "{{time}}"/' plan.yaml >share.yaml
"$PROGRAM" plan share.yaml --record slow.json --node-cost 36 --json >share.json || fail "plan of columns"
grep -q '"shots": 12,' share.json || fail "twelve renders: $(cat share.json)"
for said in '`place` (prompt) left out of the renders, told by voice or overlays instead: 4 renders instead of 12: done after 6:55 min instead of 20:15 min, at a cost of 4.15 instead of 12.15' \
  '`time` (negative) left out of the renders, told by voice or overlays instead: 6 renders instead of 12: done after 10:15 min instead of 20:15 min' \
  '`name` (prompt) and `place` (prompt) left out of the renders, told by voice or overlays instead: 2 renders instead of 12: done after 3:35 min'; do
  grep -qF "$said" share.json || fail "not said: $said: $(cat share.json)"
done
# What the record has measured beside: two workers, alone and in a group, on the same machine.
sed 's/^ "start_s"/ "others": [OTHER, GROUP], &/' slow.json >splits.json
sed -i 's/OTHER/{"format": "reelwright-record 1", "work": {"width": 32, "height": 32, "frames": 5, "steps": 9, "guidance": 5, "evaluations": 18}, "nodes": 1, "workers": 2, "group_size": 1, "finishers": 0, "both": true, "load_s": [1], "render_s": [140], "finish_s": [1], "stages": {"text_s": 0, "denoise_s": 90, "decode_s": 10}, "start_s": 1, "end_s": 1, "gap_s": 0, "run_sd": 0, "worker_sd": 0}/' splits.json
sed -i 's/GROUP/{"format": "reelwright-record 1", "work": {"width": 32, "height": 32, "frames": 5, "steps": 9, "guidance": 5, "evaluations": 18}, "nodes": 1, "workers": 2, "group_size": 2, "finishers": 0, "both": true, "load_s": [1], "render_s": [60], "finish_s": [1], "stages": {"text_s": 0, "denoise_s": 50, "decode_s": 10}, "start_s": 1, "end_s": 1, "gap_s": 0, "run_sd": 0, "worker_sd": 0}/' splits.json
"$PROGRAM" plan whole.yaml --record splits.json >splits.txt || fail "plan of several splits"
for said in '1 worker on each node: done after 10:09 min (this plan)' '2 workers on each node: done after 7:06 min' \
  '2 workers on each node in groups of 2: done after 6:0' 'workers 2 --group-size 2 on each node, as the record has measured: done after 6:0'; do
  grep -qF -- "$said" splits.txt || fail "not said: $said: $(cat splits.txt)"
done
"$PROGRAM" plan whole.yaml --record splits.json --group-size 2 --json >splits.out || fail "plan of the group"
grep -q '"render_s": 60' splits.out || fail "the times are not those of groups of two: $(cat splits.out)"
status_is 2 "$PROGRAM" plan whole.yaml --record splits.json --group-size 4 2>bad.err
grep -q 'group-size 4: expected at most' bad.err || fail "a group of more ranks than workers: $(cat bad.err)"
"$PROGRAM" plan whole.yaml --record splits.json --group-size 4 --workers 4 --json >splits.out || fail "plan of a group that was not measured"
grep -q 'no groups of that size' splits.out || fail "a group that was not measured is not said: $(cat splits.out)"

grep -q '^  each node  1 worker, which renders and finishes$' splits.txt || fail "who does what on a node is not said: $(cat splits.txt)"
"$PROGRAM" plan whole.yaml --record slow.json --nodes 60000 --json >many.json || fail "plan of many nodes"
grep -q 'no node dies in these nights; of 60000 in .*`--failures 5` plans with that' many.json || fail "no word of nodes that die: $(cat many.json)"

# A node that dies, on two nodes and on the only one; memory that a node does not have.
"$PROGRAM" plan whole.yaml --record slow.json --nodes 2 --node-dies-at 150 >death.txt || fail "plan of a node that dies"
grep -q 'a death    of a node after 2:30 min: done [1-9][0-9.:]* [smin]* later than without' death.txt || fail "what a node's death costs: $(cat death.txt)"
"$PROGRAM" plan whole.yaml --record slow.json --node-dies-at 150 --json >death.json || fail "plan of the only node's death"
"$PROGRAM" plan whole.yaml --record slow.json --node-dies-at 150 >never.txt || fail "plan of the only node's death, for people"
grep -q '^  never done, in nine nights of ten (' never.txt || fail "a night that never ends is not said to: $(cat never.txt)"
grep -q '"p50": null' death.json && grep -q '"cost": null' death.json && grep -q '"core_hours": null' death.json || fail "nobody is left, and it is done: $(cat death.json)"
status_is 2 "$PROGRAM" plan whole.yaml --record slow.json --node-dies-at yesterday 2>bad.err
sed 's/^{/{"machine": {"cores": 2, "memory_bytes": 3000000000}, "memory": {"renderer_bytes": 2000000000}, "sizes": {"clip_bytes": 1000000, "master_bytes": 5000000},/' slow.json >large.json
"$PROGRAM" plan whole.yaml --record large.json --workers 2 >large.txt || fail "plan of little memory"
grep -q 'memory: 2 workers of 2.00 GB and 0 finishers of 0.00 GB may need 4.00 GB on a node that has 3.00 GB' large.txt || fail "no word of memory: $(cat large.txt)"
"$PROGRAM" plan whole.yaml --record large.json >large.txt || fail "plan of enough memory"
grep -q 'may need' large.txt && fail "one worker of 2 GB has room in 3 GB: $(cat large.txt)"
sed 's/"renderer_bytes": 2000000000/&, "added": {"start": 100000000, "finish": 400000000}/' large.json >added.json
"$PROGRAM" plan whole.yaml --record added.json --finishers 3 >added.txt || fail "plan of finishers that were not measured"
grep -q '1 worker of 2.00 GB and 3 finishers of 0.50 GB may need 3.50 GB' added.txt && grep -q 'no processes that only finish' added.txt ||
  fail "finishers that were not measured take nothing: $(cat added.txt)"
grep -q 'disk       11 MB: clips 6.0 MB' large.txt || fail "no word of disk: $(cat large.txt)"

cp -rL "$MODEL" small
printf '{"width": 32, "height": 32, "frames": 5, "fps": 8, "steps": 2}\n' >small/reelwright.json
# Several ranks: what they add up, and the record of groups that has it; whole renders as MLPerf measures them, said to be invalid.
"$PROGRAM" bench --model small --nights 1 --shots 2 --workers 2 --group-size 2,1 --scratch . --out group.json --against record.json >group.txt 2>group.err ||
  fail "bench of a model, with groups: $(cat group.err)"
grep -q '"bytes_per_s": [0-9.]*[1-9]' group.json || fail "no network in the record: $(cat group.json)"
grep -q 'network over which a group adds up' group.html || fail "no network on the page"
grep -q '"group_size": 1,' group.json && grep -q '"group_size": 2,' group.json || fail "not both sizes of groups: $(cat group.json)"
grep -q 'stroke-dasharray' group.html || fail "the page compares nothing"
"$PROGRAM" bench --scenario offline --shape 1.3b --layers 1 --latent 1x2x2 --tokens 2 --steps 2 --repeat 2 --json >offline.json || fail "bench --scenario"
grep -q '"valid": false' offline.json || fail "random weights are no result: $(cat offline.json)"
grep -q '2 samples, expected at least 248' offline.json || fail "not all rules: $(cat offline.json)"
for bad in "--scenario offline" "--stage sum" "--scenario offline --stage step --shape 5b"; do
  # shellcheck disable=SC2086
  status_is 2 "$PROGRAM" bench $bad >/dev/null 2>bad.err
done
status_is 2 "$PROGRAM" bench plan.yaml --model small 2>bad.err
for bad in "--workers 1,x" "--workers 1 --group-size 2" "--group-size 0"; do
  # shellcheck disable=SC2086
  status_is 2 "$PROGRAM" bench plan.yaml $bad 2>bad.err
done

printf '{"format": "something"}' >bad.json
status_is 2 "$PROGRAM" plan plan.yaml --record bad.json 2>bad.err
status_is 2 "$PROGRAM" plan plan.yaml --record plan.yaml 2>bad.err
grep -q 'plan.yaml:1: no record: ' bad.err || fail "a campaign is no record: $(cat bad.err)"
status_is 2 "$PROGRAM" plan plan.yaml --record bad.json 2>bad.err
grep -q 'bad.json: no record' bad.err || fail "$(cat bad.err)"
