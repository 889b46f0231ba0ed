#!/usr/bin/env bash
# Two farms read one trust store. A person whom both show takes the consent back while both render: both notice it, neither clip is made; the
# other clips are, and both records are whole. It is revoked in one farm and not in the other when the consent was for that one's campaign alone.
source "$(dirname "$0")/../fault/farm.sh"
source "$(dirname "$0")/../fault/people.sh"
trap 'kill "${FIRST:-}" "${SECOND:-}" 2>/dev/null || true' EXIT
state_of() { # NAME ID
  python3 -c 'import csv, sys; print([r["status"] for r in csv.DictReader(open("out-%s/delivery.csv" % sys.argv[1])) if r["id"] == sys.argv[2]][0])' "$@"
}
is() { [ "$(state_of "$1" "$2")" = "$3" ] || fail "$1: $2 is $(state_of "$1" "$2"), expected $3"; }
is_revoked() { "$PROGRAM" explain "out-$1" "$2" 2>/dev/null | grep "clip $2: revoked" >/dev/null; }
holds() { json "$1" | grep '"stage": "denoise"' >/dev/null; } # its only worker waits in a render

for who in anna ben; do person $who; done
grant anna; grant ben --campaign east; grant ben --campaign west
for farm in east west; do
  people_campaign $farm 4
  printf 'id,place,cameo\nplain,beach 1,\nshown,beach 2,anna\nother,beach 3,ben\n' >$farm.csv
done
provoke "at=denoise,step=2,do=hold,until=$WORK/go" # each worker in the middle of its first render
WORKERS=1
run east; FIRST=$LAUNCHER
run west; SECOND=$LAUNCHER
for farm in east west; do until_true 120 holds $farm; done
"$PROGRAM" cameo revoke anna >/dev/null || true # 1: both farms are running, so neither folder can be looked through
"$PROGRAM" cameo revoke ben --consent 2 >/dev/null || true
for farm in east west; do until_true 60 is_revoked $farm shown; done
until_true 60 is_revoked west other
release
for LAUNCHER in $FIRST $SECOND; do finish 0; done
for farm in east west; do
  is $farm shown revoked; is $farm plain delivered
  [ -z "$(find out-$farm/clips out-$farm/delivery -name 'shown.*')" ] || fail "$farm has a clip of anna"
  "$PROGRAM" verify out-$farm --json | grep '"audit": "whole"' >/dev/null || fail "the record of $farm is not whole"
done
is east other delivered; is west other revoked
[ "$(cut -d, -f1 out-east/revoked.csv | tail -n +2)" = '"shown"' ] || fail "revoked.csv of east: $(cat out-east/revoked.csv)"

# The store is whole, too, after both have written their folders into it; and one revocation reaches both when they have ended.
status_is 0 "$PROGRAM" cameo revoke ben >revoke.txt
grep -q 'out-east: 1 clip withdrawn' revoke.txt || fail "revoke says: $(cat revoke.txt)"
is east other revoked
echo "two farms on one store: a revocation reached both"
