#!/usr/bin/env bash
# Reviewers' words while a run goes on, in parts that are merged, and with a kill between the ledger and the audit chain: each counts once.
source "$(dirname "$0")/../fault/farm.sh"
ROWS=6
trap 'kill "${LAUNCHER:-}" 2>/dev/null || true' EXIT
said() { # OUT FILE: every word in a chain, "verb by" each
  python3 -c 'import json, sys
print(*[x["verb"] + " " + x["by"] for x in map(json.loads, open(sys.argv[1])) if x["what"] == "review"], sep=", ")' "out-$1/${2:-audit.jsonl}"
}
state_of() { "$PROGRAM" review list "out-$1" --all --json | python3 -c 'import json,sys; print([c["state"] for c in json.load(sys.stdin) if c["clip"]==sys.argv[1]][0])' "$2"; }
whole() { "$PROGRAM" verify "out-$1" --json | grep -q '"audit": "whole"' || fail "$1: the audit chain is not whole"; }
is() { [ "$2" = "$3" ] || fail "$1: \"$2\", expected \"$3\""; }

# ---- while a run goes on: its coordinator takes the words up
campaign live 4
sed -i 's/policy: none/policy: all/' live.yaml
provoke "at=denoise,step=2,rank=2,do=hold,until=$WORK/go" # the other worker finishes clips meanwhile
WORKERS=2 run live --quiet
shows() { "$PROGRAM" review list out-live --json 2>/dev/null | grep -q '"clip"'; }
until_true 120 shows
calm_down
clip=$("$PROGRAM" review list out-live --json | python3 -c 'import json,sys; print(json.load(sys.stdin)[0]["clip"])')
"$PROGRAM" review reject out-live "$clip" --by eva --reason "six fingers" --json >live.json || fail "cannot decide while a run goes on"
is "while a run goes on" "$(python3 -c 'import json; d=json.load(open("live.json")); print(d["changed"], d["taken"])')" "1 by the run that goes on"
is "its state" "$(state_of live "$clip")" rejected
is "the chain" "$(said live)" "reject eva"
release
finish 0
is "at the end" "$(state_of live "$clip")" rejected

# ---- killed between the ledger and the chain, and before the ledger
status=0
REELWRIGHT_PROVOKE="at=after.approve,do=kill" "$PROGRAM" review approve out-live --where state="in review" --by jo 2>/dev/null || status=$?
is "killed after the commit" $status 137
is "then the chain has" "$(said live)" "reject eva"
"$PROGRAM" review reopen out-live "$clip" --by eva >/dev/null || fail "cannot go on after a kill"
is "the next one writes what is missing" "$(said live)" "reject eva$(printf ', approve jo%.0s' $(seq $((ROWS - 1)))), reopen eva"
status=0
REELWRIGHT_PROVOKE="at=before.approve,do=kill" "$PROGRAM" review approve out-live "$clip" --by jo 2>/dev/null || status=$?
is "killed before the commit" $status 137
"$PROGRAM" deliver out-live >/dev/null || fail "cannot deliver after a kill"
is "the word that was left counts" "$(state_of live "$clip")" delivered
is "once" "$(said live | tr ',' '\n' | grep -c 'approve jo')" $ROWS
whole live

# ---- in parts
again parts live
for part in 1 2; do
  "$PROGRAM" run parts.yaml --out out-parts --workers 1 --part $part/2 --quiet 2>>parts.err || fail "part $part: status $?"
  "$PROGRAM" review approve "out-parts/parts/$part-of-2" --where state="in review" --by eva --json | grep -q '"taken": "now"' || fail "cannot decide in part $part"
done
cp -a out-parts out-killed
"$PROGRAM" merge out-parts >/dev/null 2>parts.err || fail "merge: $(cat parts.err)"
whole parts
is "words of the parts" "$({ said parts audit.1-of-2.jsonl; said parts audit.2-of-2.jsonl; } | tr ',' '\n' | grep -c 'approve eva')" $ROWS
is "none is in the whole's chain again" "$(said parts)" ""
check_complete parts
"$PROGRAM" dossier out-parts >/dev/null && grep -rq '"approve"' out-parts/dossier* || fail "the dossier does not know the parts' reviewers"
for point in before.parts after.parts; do
  rm -rf out-again && cp -a out-killed out-again
  REELWRIGHT_PROVOKE="at=$point,do=kill" "$PROGRAM" merge out-again >/dev/null 2>&1 && fail "not killed at $point"
  "$PROGRAM" merge out-again >/dev/null 2>parts.err || fail "merge after $point: $(cat parts.err)"
  whole again
  is "merges noted after $point" "$(grep -c '"what":"merge"' out-again/audit.jsonl)" 2
done
sed -i 's/"eva"/"joe"/' out-parts/audit.2-of-2.jsonl
"$PROGRAM" verify out-parts >/dev/null 2>&1 && fail "a changed word of a part is not seen"
echo "each word counts once: while a run goes on, after kills, and of parts"
