#!/usr/bin/env bash
# plan_reality.sh PROGRAM DIR [RUNS]: compares `plan` with what happens, in DIR (emptied). Needs a quiet machine. A line for each run:
# case, p10, p50, p90, took, within p10 and p90 or not; then how many were, and how far p50 was off.
set -euo pipefail
program=$(readlink -f "$1") work=$2 runs=${3:-4}
root=$(dirname "$(dirname "$(readlink -f "$0")")")
rm -rf "$work"
mkdir -p "$work"
cd "$work"
number_of() { sed -n "s/.*\"$1\": \([0-9.]*\).*/\1/p" plan.json | head -n 1; }
compare() { # NAME ROWS DISTINCT-PROMPTS WORKERS
  local name=$1 i
  echo id,thing >"$name.csv"
  for ((i = 0; i < $2; i++)); do echo "r$i,thing $((i % $3))" >>"$name.csv"; done
  printf 'campaign: %s\nmodel: %s\ncustomers: %s.csv\nprompt: "a red balloon and {{thing}}"\nseed: 7\nrenditions: [preview]\n' "$name" \
    "$root/models/pocket" "$name" >"$name.yaml"
  "$program" bench "$name.yaml" --nights 3 --workers "$4" --scratch . --out "$name.json" >/dev/null 2>&1
  "$program" plan "$name.yaml" --record "$name.json" --workers "$4" --json >plan.json 2>/dev/null
  for ((i = 0; i < runs; i++)); do
    local begin took
    begin=$(date +%s.%N)
    "$program" run "$name.yaml" --out "out-$name-$i" --workers "$4" --quiet 2>/dev/null
    took=$(awk -v a="$begin" -v b="$(date +%s.%N)" 'BEGIN { print b - a }')
    rm -rf "out-$name-$i"
    awk -v n="$name" -v a="$(number_of p10)" -v m="$(number_of p50)" -v z="$(number_of p90)" -v t="$took" \
      'BEGIN { printf "%-14s %8.1f %8.1f %8.1f %8.1f  %s  %+5.1f %%\n", n, a, m, z, t, (t >= a && t <= z) ? "in" : "out", 100 * (t / m - 1) }' | tee -a all
  done
}
compare few-2 4 4 2
compare many-2 12 12 2
compare many-1 8 8 1
compare shared-2 16 4 2
compare one-shot-2 20 1 2
awk '{ n++; if ($6 == "in") k++; d = $7 < 0 ? -$7 : $7; s += d; if (d <= 10) c++ } END {
  printf "%d runs: %d between p10 and p90, %d within 10 %% of p50, off by %.1f %% on average\n", n, k, c, s / n }' all
