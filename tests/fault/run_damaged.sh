#!/usr/bin/env bash
# Checkpoints that are cut, flipped, another shot's, of another version; a slow disk; a clip that kills every worker; a worker that
# fails whatever it gets.
source "$(dirname "$0")/farm.sh"
ROWS=8

campaign calm 8
run calm
finish 0
check_complete calm

# four shots stopped in the middle, each checkpoint damaged in its own way
again bad
provoke "$HOLD"
WORKERS=4 run bad
until_true 240 held bad 4
kill -TERM "$LAUNCHER"
finish 75
calm_down
mapfile -t file < <(find out-bad/latents -name '*.h5' | sort)
[ ${#file[@]} = 4 ] || fail "expected 4 checkpoints, found ${#file[@]}"
cp "${file[3]}" other.h5
truncate -s -100 "${file[0]}"
printf '\377' | dd of="${file[1]}" bs=1 seek=3000 conv=notrunc status=none
cp other.h5 "${file[2]}"
sed -i 's/ 0002 sha256 / 0007 sha256 /' "${file[3]}"
WORKERS=4 run bad
finish 0
check_complete bad
same_files calm bad
for reason in 'cut short' 'do not match its checksum' 'checkpoint of another' 'version 7, expected 2'; do
  grep -q "$reason.*the shot starts again" out-bad/run.log || fail "nothing says \"$reason\""
done
[ "$(events bad shot.rendered | grep -vc '"steps_resumed":0,')" = 0 ] || fail "a damaged checkpoint was used"

# a disk that takes its time: nobody is lost for it
again slow
provoke "at=publish.h5,do=sleep,ms=300; at=publish.mp4,do=sleep,ms=300; at=publish.png,do=sleep,ms=300"
run slow
finish 0
calm_down
check_complete slow
same_files calm slow
[ "$(leases slow lost)" = 0 ] || fail "a worker was given up for a slow disk"

# a clip that kills whoever takes it: it fails, after three workers, and the others are made
again poison
provoke "at=denoise,step=3,clip=k3,do=kill"
run poison
fails_alone poison k3
[ "$(times poison worker.died)" = 3 ] || fail "k3 was not given up after three workers"
made_by_retry poison k3

# a worker that fails three different shots is set aside; the other one makes them
again broken
provoke "at=load,rank=2,do=fail.node; at=load,rank=1,do=hold,until=$WORK/broken.go"
run broken
until_true 120 happened broken worker.aside
touch broken.go
finish 0
calm_down
check_complete broken
same_files calm broken
[ "$(leases broken failed)" = 3 ] || fail "the worker was not set aside after three failures"
# a ledger of which the disk has lost a page, also one that this run would not have read, or all: nothing starts, nothing changes, the
# message says what to do; with a whole copy of it the run goes on
cp out-calm/ledger.db whole.db
pages=$(($(stat -c %s whole.db) / 4096))
files() { (cd out-calm && find . -type f ! -name 'ledger.db*' ! -name run.lock -printf '%p %T@ %s\n' | sort); }
files >before.files
refused() { # WHAT MESSAGE
  status_is 2 sh -c '"$1" run calm.yaml --out out-calm --workers 2 2>refused.err' sh "$PROGRAM"
  grep -q "$2" refused.err || fail "$1: nothing says \"$2\""
  files | cmp - before.files || fail "$1: a refused run changed files"
}
for page in 2 4 $((pages / 2)) $((pages - 1)); do
  rm -f out-calm/ledger.db-*
  cp whole.db out-calm/ledger.db
  dd if=/dev/zero of=out-calm/ledger.db bs=4096 seek="$page" count=1 conv=notrunc status=none
  refused "page $page of $pages" 'ledger is damaged.*Put a whole copy of the file back'
  for verb in status "explain DIR k2" "review list" "review approve DIR k2 --by N" "pilot list" pause "cancel DIR k2" gate "expire DIR --older-than 1d" \
    "check calm.yaml --out" verify deliver dossier "erase DIR k2" "verify DIR/clips/k1.mp4 --campaign"; do
    [[ $verb == *DIR* && $verb != *--campaign ]] || verb+=" DIR"
    # shellcheck disable=SC2086
    status_is 2 "$PROGRAM" ${verb//DIR/out-calm} >refused.err 2>&1
    grep -q 'ledger is damaged' refused.err || fail "page $page of $pages, $verb: $(cat refused.err)"
    files | cmp - before.files || fail "page $page of $pages: a refused $verb changed files"
  done
done
# texts whose bytes have changed: SQLite sees nothing wrong with them
for damage in 'clips/k?.mp4: missing' "ledger.db: its list of this clip's files is damaged"; do
  rm -f out-calm/ledger.db-*
  python3 - "$damage" <<'PY' || fail "the ledger has no such text: $damage"
import sys
old, new = (b"clips/k1.mp4", b"clips/k\xff.mp4") if "missing" in sys.argv[1] else (b'"files":[{"bytes"', b'"files";[{"bytes"')
whole = open("whole.db", "rb").read()
open("out-calm/ledger.db", "wb").write(whole.replace(old, new))
sys.exit(old not in whole)
PY
  status_is 1 "$PROGRAM" verify out-calm >bad.out 2>&1
  grep -qF "  k1: $damage" bad.out || fail "verify takes a damaged row for whole: $(cat bad.out)"
done
rm -f out-calm/ledger.db-*
: >out-calm/ledger.db
refused 'an empty ledger' 'ledger is empty beside a campaign.s files'
for verb in status verify deliver inspect; do
  status_is 2 sh -c '"$1" "$2" out-calm >refused.err 2>&1' sh "$PROGRAM" $verb
  grep -q 'it was cut' refused.err || fail "$verb of an empty ledger: $(cat refused.err)"
done
cp whole.db out-calm/ledger.db
run calm
finish 0
check_complete calm
echo "started again, waited, given up, set aside"
