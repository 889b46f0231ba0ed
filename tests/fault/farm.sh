# farm.sh - what the farm's tests share: a campaign of a few small clips, and ways to disturb its run. Sourced by run_*.sh,
# which are given: the program, the model folder, an empty folder to work in.
set -euo pipefail
PROGRAM=$1 MODEL=$2 WORK=$3 SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
rm -rf "$WORK"
mkdir -p "$WORK"
cd "$WORK"
export XDG_CACHE_HOME=$WORK/cache
unset "${!OMPI_@}" "${!PMIX_@}" REELWRIGHT_LAUNCHER 2>/dev/null || true

fail() {
  echo "FAILED: $*" >&2
  for log in *.err; do [ -f "$log" ] && sed "s/^/  $log: /" "$log" >&2; done
  exit 1
}
skip() { echo "skipped: $*"; exit 77; }

ROWS=12
campaign() { # NAME STEPS [SEED]: ROWS rows; the last one shares its shot
  printf 'campaign: %s\nmodel: %s\ncustomers: %s.csv\nprompt: "{{color}} balloon over {{place}}"\nseed: %s\n' "$1" "$MODEL" "$1" "${3:-7}" >"$1.yaml"
  printf 'size: 32x48\nframes: 9\nfps: 8\nsteps: %s\nguidance: 4.0\nrenditions: [preview]\nreview: {policy: none}\n' "$2" >>"$1.yaml"
  printf 'id,name,color,place\n' >"$1.csv"
  local i
  for ((i = 1; i < ROWS; i++)); do printf 'k%s,"Jürgen ""%s"", Köln",red,city %s\n' "$i" "$i" "$i" >>"$1.csv"; done
  printf 'k%s,Zoë,red,city %s\n' "$ROWS" $((ROWS - 1)) >>"$1.csv"
}

again() { # NAME [OF]: the campaign OF (calm) once more, under this name
  local of=${2:-calm}
  cp "$of.csv" "$1.csv"
  sed "/^model:/! s/$of/$1/" "$of.yaml" >"$1.yaml"
}

run() { # NAME [options]: by WORKERS (2) workers, in the background; its exit status is waited for by `finish`
  local name=$1
  shift
  "$PROGRAM" run "$name.yaml" --out "out-$name" --workers "${WORKERS:-2}" "$@" 2>>"$name.err" &
  LAUNCHER=$!
}
finish() { # STATUS: of the run
  local status=0
  wait "$LAUNCHER" || status=$?
  [ "$status" = "$1" ] || fail "exit status $status, expected $1"
}

json() { "$PROGRAM" status "out-$1" --json 2>/dev/null || true; }
number() { json "$1" | sed -n "s/^  \"$2\": \([0-9]*\).*/\1/p"; }
workers_busy() { json "$1" | grep -c '"state": "working"' || true; }
worker_pid() { json "$1" | awk -v want="$2" '/"worker":/ {w = $2 + 0} /"pid":/ && w == want {print $2 + 0}'; }
until_true() { # SECONDS CONDITION...: the time is there to end a test that hangs, not to be met
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    [ $SECONDS -lt $end ] || fail "waited too long for: $*"
    sleep 0.1
  done
}
some_done() { local n; n=$(number "$1" finished); [ "${n:-0}" -ge "$2" ]; }
nobody_works() { json "$1" | grep '"workers"' >/dev/null && [ "$(workers_busy "$1")" = 0 ]; }
status_is() { # STATUS COMMAND...: no other failure, such as a crash, passes for a refusal
  local status=0
  "${@:2}" || status=$?
  [ "$status" = "$1" ] || fail "exit status $status, expected $1: ${*:2}"
}

# What events.jsonl says. An event that the program does not have is never found there: to ask for one is a mistake of the test.
known() { grep -rqF "\"$1\"" "$SOURCE/coordinator" || fail "the program has no event $1"; }
events() { known "$2" && { grep -s "\"event\":\"$2\"" "out-$1/events.jsonl" || true; }; } # NAME EVENT: its lines
times() { known "$2" && { grep -cs "\"event\":\"$2\"" "out-$1/events.jsonl" || true; }; }
happened() { known "$2" && grep -qs "\"event\":\"$2\"" "out-$1/events.jsonl"; }
leases() { known "$2" && { grep -cs "\"event\":\"lease.ended\".*\"outcome\":\"$2\"" "out-$1/events.jsonl" || true; }; } # NAME OUTCOME

# Nothing here is awaited by luck: workers are held, killed and stopped where the test says (common/provoke.h).
provoke() { export REELWRIGHT_PROVOKE="$*"; }
calm_down() { unset REELWRIGHT_PROVOKE; }
HOLD="at=denoise,step=2,do=hold,until=$WORK/go" # every worker waits in the middle of a shot until `release`
release() { touch "$WORK/go"; }
held() { # NAME WORKERS: so many wait there
  json "$1" | awk -v want="$2" '/"state":/ {state = $2} /"stage":/ {stage = $2}
    /"done":/ && state ~ /working/ && stage ~ /denoise/ && $2 + 0 >= 2 {n++} END {exit n + 0 != want}'
}

descendants() { # PID: it and all that came from it
  local child
  echo "$1"
  for child in $(cat /proc/"$1"/task/*/children 2>/dev/null); do descendants "$child"; done
}
all_gone() { # PIDS...
  local p
  for p in "$@"; do [ ! -e "/proc/$p" ] || grep -qs '^State:.*Z' "/proc/$p/status" || return 1; done
}

check_complete() { # NAME: ROWS good clips, each finished once, lists and report there
  local out=out-$1
  [ "$(number "$1" finished)" = $ROWS ] || fail "$1: $(number "$1" finished) clips finished, expected $ROWS"
  [ "$(find "$out/clips" -name '*.mp4' | wc -l)" = $ROWS ] || fail "$1: not $ROWS files"
  [ "$(wc -l <"$out/delivery.csv")" = $((ROWS + 1)) ] || fail "$1: delivery.csv has not $((ROWS + 1)) lines"
  [ "$(grep -c ',delivered,' "$out/delivery.csv")" = $ROWS ] || fail "$1: delivery.csv has not $ROWS delivered rows"
  cmp -s "$out/delivery.csv" "$out/delivery/delivery.csv" || fail "$1: the two lists differ"
  [ -s "$out/report/index.html" ] || fail "$1: no report"
  [ "$(times "$1" clip.approved)" -le $ROWS ] || fail "$1: a clip was finished twice"
  local path sum
  (cd "$out" && find clips -name '*.mp4' | sort | xargs sha256sum) >"$1.sums"
  (cd "$out/delivery" && find clips -name '*.mp4' | sort | xargs sha256sum) | cmp -s - "$1.sums" || fail "$1: a delivered file differs"
  while read -r sum path; do grep -q "$path,.*$sum" "$out/delivery.csv" || fail "$1: $path has another hash in the list"; done <"$1.sums"
  [ -z "$(find "$out" -name '*.draft.*')" ] || fail "$1: drafts are left over"
}
same_files() { cmp "$1.sums" "$2.sums" || fail "the clips of $1 and $2 differ"; }

# The campaign calm was made undisturbed before.
kill_whole_job() { # NAME PROCESSES: launcher, mpirun and ranks, so many at the least; the next run ends it
  local pids
  mapfile -t pids < <(descendants "$LAUNCHER")
  [ ${#pids[@]} -ge "$2" ] || fail "expected at least $2 processes, a launcher, mpirun and ranks, found ${pids[*]}"
  kill -9 "${pids[@]}"
  finish 137
  until_true 60 all_gone "${pids[@]}"
  calm_down
  run "$1"
  finish 0
  check_complete "$1"
  same_files calm "$1"
}
fails_alone() { # NAME CLIP: the run ends, and this clip is the one that is not made
  finish 1
  calm_down
  [ "$(number "$1" failed)" = 1 ] && [ "$(number "$1" finished)" = $((ROWS - 1)) ] || fail "$1: not all but one are finished"
  grep -q ",$2,failed," "out-$1/delivery.csv" || fail "another clip than $2 failed"
}
made_by_retry() { # NAME CLIP
  "$PROGRAM" retry "out-$1" "$2" >/dev/null
  run "$1"
  finish 0
  check_complete "$1"
  same_files calm "$1"
}
