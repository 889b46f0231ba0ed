#!/usr/bin/env bash
# A trust store, and then a campaign's folder, on a file system that cannot be written, and a store on a full one: what only reads works and refuses nobody; what would
# change something says so, exits with 2 or 3, and has changed nothing.
source "$(dirname "$0")/farm.sh"
source "$(dirname "$0")/people.sh"
[ "$(id -u)" = 0 ] && mount --bind "$WORK" "$WORK" 2>/dev/null && umount -l "$WORK" || skip "a folder is made read-only by root who can mount"
LOCKED=''
trap '[ -z "$LOCKED" ] || umount -l "$LOCKED"' EXIT
lock() { mount --bind "$1" "$1"; LOCKED=$1; mount -o remount,bind,ro "$1"; }
unlock() { umount -l "$LOCKED"; LOCKED=''; }
works() { "$PROGRAM" "$@" >said.txt 2>&1 || fail "status $?: $*: $(cat said.txt)"; }
refused() { # PATTERN COMMAND...
  local status=0
  "$PROGRAM" "${@:2}" >said.txt 2>&1 || status=$?
  [[ $status = [23] ]] || fail "exit status $status, expected 2 or 3: ${*:2}: $(cat said.txt)"
  grep -q "$1" said.txt || fail "${*:2}: expected \"$1\": $(cat said.txt)"
}
sums() { find "$1" -type f -print0 | sort -z | xargs -0 sha256sum; }

person anna; grant anna
person ben; grant ben
code=$(code_of anna)
people_campaign night 2
printf 'id,place,cameo\nk1,beach 1,anna\nk2,beach 2,ben\nk3,beach 3,\n' >night.csv

sums trust >before.txt
lock "$WORK/trust"
works cameo list --json
works cameo show anna --picture faces.png
works cameo check
works cameo export anna --out about-anna
cannot='trust store: .*trust cannot be written: Read-only file system'
refused "$cannot" cameo add carl --name Carl --face "$FACE"
refused "$cannot" cameo challenge anna
refused "$cannot" cameo verify anna --recording said.mp4 --by Rita --passcode "$code"
refused "$cannot" cameo verify anna --recording said.mp4 --page
refused "$cannot" cameo grant anna --purpose travel --until 2099-12-31 --face
refused "$cannot" cameo revoke anna
refused "$cannot" cameo revoke anna --erase
refused "$cannot" cameo rotate
refused "$cannot" cameo check --reset-clock --by Rita --reason "it was wrong"
"$PROGRAM" check night.yaml --json 2>/dev/null | python3 -c 'import json, sys; assert json.load(sys.stdin)["refusals"] == []' || fail "somebody is refused"
run night; finish 0
[ "$(number night finished)" = 3 ] || fail "not all clips are made"
[ "$(grep -c 'will not find this campaign' night.err)" -le 2 ] || fail "one thing is said again and again"
grep -q 'will not find this campaign' night.err || fail "nobody hears that a revocation will not come here"
works deliver out-night
works verify out-night
works dossier out-night
unlock
sums trust | cmp - before.txt || fail "the store has changed"
works deliver out-night # now the store learns of the folder

sums out-night >before.txt
lock "$WORK/out-night"
for verb in status verify inspect "check night.yaml --out" "review list --all" "dossier --json" "explain"; do
  # shellcheck disable=SC2086
  works $verb out-night $([ "$verb" != explain ] || echo k1)
done
cannot='Read-only file system\|readonly database'
refused "$cannot" run night.yaml --out out-night --workers 1
refused "$cannot" run night.yaml --out out-night --update --workers 1
refused "$cannot" deliver out-night
refused "$cannot" dossier out-night
refused "$cannot" erase out-night k1
refused "$cannot" submit night.yaml --out out-night
for verb in pause cancel retry; do # of a finished campaign they change nothing, and say so
  works $verb out-night
  grep -q 'nothing changes' said.txt || fail "$verb: $(cat said.txt)"
done
refused "$cannot" priority out-night 3
# the review page is for looking alone, and says so
"$PROGRAM" review out-night >address.txt 2>page.txt &
PAGE=$!
trap 'kill $PAGE 2>/dev/null || true; [ -z "$LOCKED" ] || umount -l "$LOCKED"' EXIT
until_true 60 test -s address.txt
python3 - "$(head -n 1 address.txt)" <<'EOF' || fail "the review page of a folder that can only be read"
import http.cookiejar, json, sys, urllib.error, urllib.request
address = sys.argv[1]
site = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
site.open(address)
root = address.split('?')[0]
listed = json.load(site.open(root + 'clips.json'))
assert listed['read_only'] is True and listed['clips'], listed
wish = json.dumps({'verb': 'reject', 'by': 'Eva', 'reason': 'x', 'clips': [listed['clips'][0][0]], 'seen': ['']}).encode()
try:
    site.open(urllib.request.Request(root + 'decide', wish, {'X-Review': listed['secret'], 'Content-Type': 'application/json'}))
    raise SystemExit('a decision was taken')
except urllib.error.HTTPError as e:
    assert e.code == 409, e.code
EOF
kill $PAGE
wait $PAGE || fail "the page ended with $?: $(cat page.txt)"
grep -q 'out-night can only be read' page.txt || fail "review says: $(cat page.txt)"
sums out-night | cmp - before.txt || fail "the folder has changed"
# ben takes his yes back, which the store notes; what shows him cannot be taken out here, and that is said
status_is 1 "$PROGRAM" cameo revoke ben >said.txt 2>&1
grep -q 'out-night: not done: .*Read-only file system' said.txt || fail "revoke says: $(cat said.txt)"
unlock
works deliver out-night
[ -z "$(find out-night/clips out-night/delivery -name 'k2.*')" ] || fail "a clip of ben is there"
# a store on a full disk: who is being added is not there, everybody else is; with space it goes on
mkdir small
mount -t tmpfs -o size=300k,mode=700 tmpfs "$WORK/small"
LOCKED=$WORK/small
export REELWRIGHT_TRUST=$WORK/small
works cameo add anna --name Anna --face "$FACE"
cat /dev/zero >small/ballast 2>/dev/null || true
refused 'No space left on device' cameo add eva --name Eva --face "$FACE"
refused 'No space left on device' cameo challenge anna
works cameo list
grep -q anna said.txt || fail "anna is not listed: $(cat said.txt)"
works cameo check
rm small/ballast
mkdir -m 700 small/cameos/uwe # an addition that was killed at its beginning hides nobody
refused '1 of 2 cameos cannot be read' cameo list
grep -q '^anna' said.txt && grep -q 'add "uwe" once more' said.txt || fail "list says: $(cat said.txt)"
works cameo add uwe --name Uwe --face "$FACE"
works cameo add eva --name Eva --face "$FACE"
works cameo check
echo "a store and a folder that cannot be written, or are full: read, refused, and as they were"
