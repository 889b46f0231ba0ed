#!/usr/bin/env bash
# Merging the parts of a campaign: killed before and after each step it is run again and loses nothing; two at once do not get in each
# other's way; a ledger that lacks rows removes no part.
source "$(dirname "$0")/../fault/farm.sh"
ROWS=6
trap 'kill "${FIRST:-}" 2>/dev/null || true' EXIT
campaign calm 2
printf 'keep_masters: true\nwatermark: true\n' >>calm.yaml
for part in 1 2; do
  "$PROGRAM" run calm.yaml --out out-parts --workers 1 --part $part/2 2>>parts.err || fail "part $part: status $?"
done
cp out-parts/watermark.key . # one for all parts, else no mark is found in the whole
[ "$(stat -c '%a %s %F' watermark.key)" = "600 32 regular file" ] || fail "the key: $(stat -c '%a %s %F' watermark.key)"

# each part has a report of its own, of its rows and renders alone
for part in 1-of-2 2-of-2; do
  here=out-parts/parts/$part
  mapfile -t ids < <(tail -n +2 $here/delivery.csv | cut -d, -f1)
  [ ${#ids[@]} -ge 2 ] || fail "part $part has ${#ids[@]} rows"
  for id in "${ids[@]}"; do grep -q ">$id<" $here/report/index.html || fail "the report of part $part does not know $id"; done
  shots=$(grep -o '"shot.rendered","campaign":"calm","shot":"[0-9a-f]*' $here/events.jsonl | sort -u | wc -l)
  cards=$(grep -o '<article class=card>' $here/report/index.html | wc -l)
  [ "$cards" = "$shots" ] && [ "$cards" -ge 2 ] || fail "the report of part $part shows $cards of $shots renders"
done

# what is divided stays so, and no folder of somebody else's is taken; nothing is written into either
mkdir source
touch source/main.c file
before=$(find out-parts source | sort)
refused() { # TEXT VERB...
  status_is 2 "$PROGRAM" "${@:2}" >/dev/null 2>refused.err
  grep -q "$1" refused.err || fail "${*:2}: $(cat refused.err)"
}
for words in "submit calm.yaml --out out-parts --parts 3" "submit calm.yaml --out out-parts" "run calm.yaml --out out-parts --part 1/3" \
  "run calm.yaml --out out-parts"; do refused 'is divided into 2 parts' $words; done
for verb in run submit; do
  refused 'holds other files (main.c) and no campaign' $verb calm.yaml --out source
  refused 'expected a folder' $verb calm.yaml --out file
done
[ "$before" = "$(find out-parts source | sort)" ] || fail "a refused run or submit has left something"

fresh() { rm -rf out-calm && cp -a out-parts out-calm; }
merge() { # STATUS
  local status=0
  { "$PROGRAM" merge out-calm >merge.out || status=$?; } 2>merge.err
  [ $status = "$1" ] || fail "merge: status $status, expected $1: $(cat merge.err)"
}
kept() { [ -d "out-calm/parts/1-of-2" ] && [ -s "out-calm/parts/2-of-2/ledger.db" ]; }
merged() { # every row delivered once, nothing left over
  [ ! -e out-calm/parts ] && [ ! -e out-calm/parts.merged ] || fail "$1: parts are left over"
  check_complete calm
  [ "$(ls out-calm/masters/*.mkv | wc -l)" = $((ROWS - 1)) ] || fail "$1: the masters are not kept: $(ls out-calm/masters)"
  cmp -s out-calm/watermark.key watermark.key || fail "$1: the watermark's key is another one"
}
fresh
merge 0
merged "undisturbed"
merge 2
grep -q 'it is one campaign already' merge.err || fail "merged twice: $(cat merge.err)"

for point in publish.db before.deliver after.deliver publish.csv before.parts after.parts; do
  fresh
  provoke "at=$point,do=kill"
  merge 137
  calm_down
  [ "$point" = after.parts ] || kept || fail "$point: a part is gone"
  merge 0
  merged "killed at $point"
done

# two at once: the second one is refused, whenever it comes
fresh
REELWRIGHT_PROVOKE="at=publish.db,do=hold,until=$WORK/go" "$PROGRAM" merge out-calm >first.out 2>first.err &
FIRST=$!
drafts() { ls -d out-calm/parts/merged.draft.* >/dev/null 2>&1; }
until_true 60 drafts
merge 3
grep -q 'another' merge.err || fail "two at once: $(cat merge.err)"
release
wait $FIRST || fail "two at once: the first one: $(cat first.err)"
merged "two at once"
fresh
for i in 1 2 3 4; do { "$PROGRAM" merge out-calm >/dev/null 2>many.$i.err || true; } & done
wait
[ ! -e out-calm/parts ] || merge 0
merged "four at once"

# a whole that lacks a part's rows
fresh
status_is 2 "$PROGRAM" run calm.yaml --out out-calm --workers 1 2>many.err # the folder of the parts
cp out-calm/parts/1-of-2/ledger.db out-calm/ledger.db
merge 3
grep -q 'nothing is removed' merge.err || fail "a wrong whole: $(cat merge.err)"
kept || fail "a wrong whole: a part is gone"
rm out-calm/ledger.db
merge 0
merged "after a wrong whole"

# what people decided about the clips of a part, and what is on record of it, is the whole's
cp -a out-parts out-seen
first_of() { sed -n 2p "out-seen/parts/$1/delivery.csv" | cut -d, -f1; }
rejected=$(first_of 1-of-2) erased=$(first_of 2-of-2)
"$PROGRAM" review reject out-seen/parts/1-of-2 "$rejected" --by eva --reason dull >/dev/null
"$PROGRAM" erase out-seen/parts/2-of-2 "$erased" --by rita >/dev/null
"$PROGRAM" merge out-seen >seen.out 2>seen.err || fail "merge of seen: $(cat seen.err)"
grep "^$rejected,.*,rejected,dull,.*,eva," out-seen/delivery.csv >/dev/null || fail "the list does not say who rejected $rejected: $(cat out-seen/delivery.csv)"
grep ',erased,' out-seen/delivery.csv >/dev/null || fail "no tombstone of what was erased"
"$PROGRAM" dossier out-seen >/dev/null
python3 - "$rejected" <<'END'
import json, sqlite3, sys
d = json.load(open("out-seen/dossier.json"))
assert d["audit"]["chain"] == "whole", d["audit"]
assert {"erasure", "delivery"} <= {x["what"] for x in d["audit"]["decisions"]}, d["audit"]
db = sqlite3.connect("file:out-seen/ledger.db?mode=ro", uri=True)
assert [("reject", "eva", "dull")] == db.execute("SELECT verb, reviewer, reason FROM decisions").fetchall()
END
grep -q '"k3"' out-seen/events.1-of-2.jsonl || fail "the events of a part do not know k3: the search proves nothing"
"$PROGRAM" erase out-seen k3 --by rita >/dev/null
found=$(grep -rlIE '(^|[^A-Za-z0-9+])k3([^A-Za-z0-9+/=]|$)' out-seen || true; find out-seen -name 'k3.*')
[ -z "$found" ] || fail "k3, who was erased after the merge, is in: $found"
: >out-seen/audit.2-of-2.jsonl
status_is 1 "$PROGRAM" verify out-seen --json >broken.json 2>/dev/null
grep -q '"audit": "broken"' broken.json || fail "a part's record was cut short, and verify does not see it"
echo "killed at six points, two and four at once, with a wrong whole: every row is there"
