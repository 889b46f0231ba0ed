#!/usr/bin/env bash
# plan_reality.sh PROGRAM DIR [RUNS] [--write] [CASE...]: compares `plan` with what happens, in DIR (emptied). Six cases: few and many renders,
# one worker and two, shots that rows share, finishing that takes longest, a job that is killed and starts again. For each, or only those named:
# a record (`bench`, three nights), a forecast, RUNS runs (4). Prints a table; with --write its rows take the place of the same cases' in
# tests/farm/PLAN.md. A case takes about a minute on two cores that do nothing else; the load beside each run is in the table.
set -euo pipefail
program=$(readlink -f "$1") work=$2 runs=4 write= only=()
for one in "${@:3}"; do
  case $one in
    --write) write=yes ;;
    [0-9]*) runs=$one ;;
    *) only+=("$one") ;;
  esac
done
root=$(dirname "$(dirname "$(readlink -f "$0")")")
rm -rf "$work"
mkdir -p "$work"
cd "$work"
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT

now() { date +%s.%N; }
since() { awk -v a="$1" -v b="$(now)" 'BEGIN { printf "%.2f", b - a }'; }
number_of() { sed -n "s/.*\"$1\": \([0-9.]*\).*/\1/p" plan.json | head -n 1; }
load() { cut -d ' ' -f 1 /proc/loadavg; }
say() { printf '%s\n' "$*" >&2; }

# NAME ROWS SHOTS: rows that are clips of their own, of so many shots
write_campaign() {
  local i
  echo id,thing >"$1.csv"
  for ((i = 0; i < $2; i++)); do echo "r$i,thing $((i % $3))" >>"$1.csv"; done
  printf 'campaign: %s\nmodel: %s\ncustomers: %s.csv\nprompt: "a red balloon and {{thing}}"\nseed: 7\nrenditions: [preview]\n' "$1" \
    "$root/models/pocket" "$1" >"$1.yaml"
  printf 'overlays:\n  - {text: "for {{id}}", place: lower-third}\nreview: {policy: none}\n' >>"$1.yaml"
}

# After so many seconds of the run in FOLDER its coordinator is killed, and with it the job ends. The launcher starts it again.
kill_job() { # SECONDS FOLDER
  local pid
  sleep "$1"
  pid=$(sed -n 's/.*"event":"job.started".*"pid":\([0-9]*\).*/\1/p' "$2/events.jsonl" | tail -n 1)
  kill -9 "$pid"
}

compare() { # NAME ROWS SHOTS WORKERS [killed]
  local name=$1 i begin took dies=() at=0 killer beside
  if [ ${#only[@]} -gt 0 ] && [[ " ${only[*]} " != *" $name "* ]]; then
    grep "^| $name |" "$root/tests/farm/PLAN.md" >>rows || true # as they were
    return
  fi
  measured+="${measured:+, }$name"
  write_campaign "$name" "$2" "$3"
  say "$name: bench"
  "$program" bench "$name.yaml" --nights 3 --shots 1000 --workers "$4" --scratch . --out "$name.json" >"$name.bench" 2>&1 ||
    { cat "$name.bench" >&2; exit 1; }
  "$program" plan "$name.yaml" --record "$name.json" --workers "$4" --json >plan.json 2>/dev/null
  if [ -n "${5:-}" ]; then
    at=$(awk -v s="$(number_of p50)" 'BEGIN { printf "%.1f", 0.4 * s }')
    dies=(--dies-at "$at")
    "$program" plan "$name.yaml" --record "$name.json" --workers "$4" "${dies[@]}" --json >plan.json 2>/dev/null
  fi
  for ((i = 1; i <= runs; i++)); do
    beside=$(load)
    begin=$(now)
    if [ -n "${5:-}" ]; then kill_job "$at" "out-$name" & killer=$!; fi
    "$program" run "$name.yaml" --out "out-$name" --workers "$4" --quiet 2>"$name.err" || { cat "$name.err" >&2; exit 1; }
    took=$(since "$begin")
    if [ -n "${5:-}" ]; then wait "$killer" || say "$name: the job was over before it was killed"; fi
    rm -rf "out-$name"
    awk -v n="$name" -v a="$(number_of p10)" -v m="$(number_of p50)" -v z="$(number_of p90)" -v t="$took" -v l="$beside" 'BEGIN {
      printf "| %s | %.1f | %.1f | %.1f | %.1f | %+.1f %% | %s | %s |\n", n, a, m, z, t, 100 * (t / m - 1), (t >= a && t <= z) ? "yes" : "no", l }' |
      tee -a rows >&2
  done
}

began=$(now) measured=
[ ${#only[@]} -eq 0 ] || sed -n '/<!-- table -->/,/^| case/p' "$root/tests/farm/PLAN.md" | grep '^2' >earlier || true
compare few-2 4 4 2
compare many-2 16 16 2
compare many-1 8 8 1
compare shared-2 24 4 2
compare finish-2 30 1 2
compare killed-2 16 16 2 killed

{
  [ ! -s earlier ] || cat earlier
  printf '%s, %s cores (%s), %s.\n\n' "$(date -u +%Y-%m-%d)" "$(nproc)" "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)" \
    "\`tools/plan_reality.sh build/reelwright DIR $runs --write\`${only[0]+: $measured}, $(since "$began" | cut -d . -f 1) s"
  printf '| case | p10 (s) | p50 | p90 | took | off p50 | within | load before |\n|---|---|---|---|---|---|---|---|\n'
  cat rows
  awk -F '|' '{ n++; k += $8 ~ /yes/; d = $7 + 0; d = d < 0 ? -d : d; s += d; c += d <= 10 } END {
    printf "\n%d runs: %d between p10 and p90 (expected: 8 of 10), %d within 10 %% of p50, off by %.1f %% on average.\n", n, k, c, s / n }' rows
} | tee table

[ -z "$write" ] || awk -v table=table '/<!-- table -->/ { print; print ""; while ((getline line < table) > 0) print line; print ""; skip = 1; next }
  /<!-- end -->/ { skip = 0 } !skip' "$root/tests/farm/PLAN.md" >PLAN.md
[ -z "$write" ] || cp PLAN.md "$root/tests/farm/PLAN.md"
