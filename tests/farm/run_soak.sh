#!/usr/bin/env bash
# Many clips in one run, through real processes: memory, file handles and processor time per clip must not grow. 150 clips;
# with REELWRIGHT_LONG=1 it is 2,000 (a quarter of an hour on two cores). Arguments as for tests/fault/run_*.sh.
# samples.csv in the working folder has what was sampled; SCALE.md has the figures of a long run.
source "$(dirname "$0")/../fault/farm.sh"
ROWS=150
[ -z "${REELWRIGHT_LONG:-}" ] || ROWS=2000

# One line per process: seconds, rank, pid, resident kB, open files, processor ticks, clips finished by the campaign so far.
sample() { # RANK PID FINISHED
  local rss files stat fields
  rss=$(awk '/^VmRSS/ {print $2}' "/proc/$2/status" 2>/dev/null) || return 0
  files=(/proc/"$2"/fd/*)
  read -r stat <"/proc/$2/stat" 2>/dev/null || return 0
  read -ra fields <<<"${stat##*) }"
  [ -n "$rss" ] && echo "$EPOCHREALTIME,$1,$2,$rss,${#files[@]},$((fields[11] + fields[12])),$3" >>samples.csv
}

campaign soak 2
run soak
until_true 120 some_done soak 1
head_pid=$(events soak job.started | sed -n 's/.*"pid":\([0-9]*\).*/\1/p' | tail -1)
while kill -0 "$LAUNCHER" 2>/dev/null; do
  now=$(json soak)
  done_now=$(sed -n 's/^  "finished": \([0-9]*\).*/\1/p' <<<"$now")
  [ -z "$done_now" ] || [ "$done_now" = "$ROWS" ] || {
    sample 0 "$head_pid" "$done_now"
    while read -r rank pid; do sample "$rank" "$pid" "$done_now"; done < <(
      awk '/"worker":/ {w = $2 + 0} /"pid":/ {print w, $2 + 0}' <<<"$now")
  }
  sleep 0.2
done
finish 0
check_complete soak

# The run after its first fifth (the model is loaded, caches are warm), in two halves. Within a clip a worker's memory goes up and
# down by 30 MB: what leaks raises the least, the mean and the most of it.
awk -F, -v rows="$ROWS" '
  $7 < rows / 5 {next}
  {half = $7 < rows * 0.6 ? 1 : 2; key = $2 "," half; n[key]++; rss[key] += $4
   if (!(key in least) || $4 < least[key]) least[key] = $4
   if ($4 > most[key]) most[key] = $4
   if ($5 > files[key]) files[key] = $5
   if (!(key in first_clip)) {first_clip[key] = $7; first_tick[key] = $6}
   last_clip[key] = $7; last_tick[key] = $6}
  END {
    for (r = 0; r < 3; r++) {
      a = r ",1"; b = r ",2"
      if (n[a] < 2 || n[b] < 2) {print "rank " r ": too few samples"; bad = 1; continue}
      grown = (rss[b] / n[b] - rss[a] / n[a]) / 1024
      if ((least[b] - least[a]) / 1024 < grown) grown = (least[b] - least[a]) / 1024
      if ((most[b] - most[a]) / 1024 < grown) grown = (most[b] - most[a]) / 1024
      clips[1] = last_clip[a] - first_clip[a]; clips[2] = last_clip[b] - first_clip[b]
      cost[1] = clips[1] ? (last_tick[a] - first_tick[a]) * 10 / clips[1] : 0
      cost[2] = clips[2] ? (last_tick[b] - first_tick[b]) * 10 / clips[2] : 0
      printf "rank %d: %.1f MB, then %.1f MB; %d files, then %d; %.1f ms of processor for each clip of the farm, then %.1f\n", r,
             rss[a] / n[a] / 1024, rss[b] / n[b] / 1024, files[a], files[b], cost[1], cost[2]
      # between the middles of the halves lie two fifths of the clips: a leak of 10 kB a clip is 8 MB in 2,000
      if (grown > 6) {print "rank " r " grew by " grown " MB"; bad = 1}
      if (files[b] > files[a] + 2) {print "rank " r " keeps files open"; bad = 1}
      if (r > 0 && cost[2] > 1.5 * cost[1]) {print "rank " r " takes ever more time"; bad = 1}
    }
    exit bad
  }' samples.csv || fail "the farm does not stay as it is: samples.csv"
echo "$ROWS clips, steady"
