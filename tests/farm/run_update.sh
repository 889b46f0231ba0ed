#!/usr/bin/env bash
# A campaign that changes after it was made: what check says of it, what run refuses and run --update makes, and that everything else
# stays as it is, byte for byte and with its time stamps. With an update killed before and after its commit.
source "$(dirname "$0")/../fault/farm.sh"
trap 'kill "${LAUNCHER:-}" 2>/dev/null || true' EXIT
OUT=$WORK/out-c

campaign_file() { # RENDITIONS MODEL
  printf 'campaign: c\nmodel: %s\ncustomers: c.csv\nprompt: "{{color}} balloon"\nseed: "{{seed}}"\n' "$2" >c.yaml
  printf 'size: 32x48\nframes: 5\nfps: 8\nsteps: 2\nguidance: 1\nrenditions: [%s]\n' "$1" >>c.yaml
}
# what is in the folder: bytes and time stamps of a clip's files, here and where it is delivered
state_of() { (cd "$OUT" && stat -c '%n %Y.%y %s' clips/"$1".* delivery/clips/"$1".* && sha256sum clips/"$1".* delivery/clips/"$1".*); }
update() { "$PROGRAM" run c.yaml --out out-c --workers 1 --update "$@" 2>>c.err; }
plain() { "$PROGRAM" run c.yaml --out out-c --workers 1 "$@" 2>>c.err; }
line_of() { grep "^$1," out-c/delivery.csv; }
ids() { tail -n +2 out-c/delivery.csv | cut -d, -f1 | tr '\n' ' '; }
query() { python3 - "$@" <<'END'
import json, sys
o = json.load(open("check.json"))
print(eval(sys.argv[1]))
END
}
checked() { "$PROGRAM" check c.yaml --out out-c --json >check.json || fail "check says $?"; }
check_is() { checked; local is; is=$(query "$1"); [ "$is" = "$2" ] || fail "check --out: $1 is $is, expected $2"; }
lists='([r["id"] for r in o["added"]], [(r["id"], r["follows"], r["fields"]) for r in o["changed"]], [r["id"] for r in o["removed"]])'

campaign_file "preview, master" "$MODEL"
printf 'id,mail,color,seed\na,a@x,red,1\nb,b@x,red,1\nc,c@x,blue,2\nd,d@x,green,3\n' >c.csv
plain || fail "the campaign cannot be rendered: $?"
check_is "$lists" "([], [], [])"
[ -n "$(find out-c/clips -name 'b.*')" ] && [ -n "$(find out-c/clips -name '*.master.*')" ] || fail "no such files that could leave"
before=$(state_of a; state_of c; state_of d)

# an address corrected: only the list, taken without being asked
sed -i 's/b@x/new@x/' c.csv
check_is "$lists" "([], [('b', 'list', ['mail'])], [])"
plain || fail "another column: $?"
line_of b | grep '^b,new@x,.*,delivered,' >/dev/null || fail "the list has the old address: $(line_of b)"
[ "$before" = "$(state_of a; state_of c; state_of d)" ] || fail "another column has changed files"

# late rows, a row that left, another prompt, another order: refused, named, then taken
cp c.csv old.csv
printf 'id,mail,color,seed\nd,d@x,green,3\na,a@x,red,1\nlate,l@x,red,1\nc,c@x,yellow,2\n' >c.csv
check_is "$lists" "(['late'], [('c', 'render', ['color', 'prompt'])], ['b'])"
status_is 2 plain
tail -n 12 c.err | grep '1 row added, 1 changed (1 rendered again), 1 removed' >/dev/null || fail "the refusal does not count"
tail -n 12 c.err | grep 'reelwright run c.yaml --out .*out-c --update' >/dev/null || fail "the refusal does not name the command"
tail -n 12 c.err | grep 'changed  c: color, prompt (rendered again)' >/dev/null || fail "the refusal does not name the row"
grep -q '^b,new@x' out-c/delivery.csv || fail "a refused run has changed the list"
before=$(state_of a; state_of d)
old_c=$(sha256sum <out-c/clips/c.mp4) checkpoints=$(ls out-c/latents | wc -l)

# killed before its commit: nothing has happened; after it: the next run, without --update, finishes it
REELWRIGHT_PROVOKE="at=before.plan,do=kill,once=$WORK/one" status_is 137 update
[ -e one ] || fail "nobody was killed"
check_is "$lists" "(['late'], [('c', 'render', ['color', 'prompt'])], ['b'])"
REELWRIGHT_PROVOKE="at=after.plan,do=kill,once=$WORK/two" status_is 137 update
[ -e two ] || fail "nobody was killed the second time"
check_is "$lists" "([], [], [])"
plain || fail "what an update left: $?"
[ "$(ids)" = "d a late c " ] || fail "the list's order: $(ids)"
[ "$before" = "$(state_of a; state_of d)" ] || fail "unchanged clips were touched"
[ -z "$(find out-c/clips out-c/delivery -name 'b.*')" ] || fail "files of the row that left are still there"
[ "$old_c" != "$(sha256sum <out-c/clips/c.mp4)" ] || fail "c was not rendered again"
[ "$(ls out-c/latents | wc -l)" = "$checkpoints" ] || fail "the checkpoint of c's old shot is still there: $(ls out-c/latents)"
for id in a c d late; do line_of $id | grep ',delivered,' >/dev/null || fail "$id is not delivered: $(line_of $id)"; done
cmp out-c/clips/a.mp4 out-c/clips/late.mp4 || fail "late, who shares a's render, has another clip"
[ "$(line_of late | grep -o 'l@x')" = l@x ] || fail "late's columns"

# one rendition less: all finished again, none rendered, the file of the other one gone
shots_denoised() { python3 - <<'END'
import json
print(sum(1 for line in open("out-c/events.jsonl") if json.loads(line).get("steps", 0) > 0))
END
}
rendered=$(shots_denoised)
[ "$rendered" -ge 3 ] || fail "$rendered shots were denoised, expected 3 at least"
campaign_file preview "$MODEL"
check_is '[(r["id"], r["follows"], r["fields"]) for r in o["changed"]][0]' "('d', 'finish', ['renditions'])"
update || fail "another rendition: $?"
[ "$rendered" = "$(shots_denoised)" ] || fail "something was denoised for another rendition"
[ -z "$(find out-c/clips out-c/delivery -name '*.master.*')" ] || fail "files of the old rendition are still there"
for id in a c d late; do
  line_of $id | grep ',delivered,' >/dev/null || fail "$id is not delivered again: $(line_of $id)"
  cmp "out-c/clips/$id.mp4" "out-c/delivery/clips/$id.mp4" || fail "$id: delivered another file"
done

# another model is refused, and so is an update that is none
mkdir other
cp -r "$MODEL/." other/
printf '\n' >>other/model_index.json
campaign_file preview other
status_is 2 update
tail -n 3 c.err | grep 'the model is another one' >/dev/null || fail "another model is not named"
status_is 2 "$PROGRAM" check c.yaml --out out-c >/dev/null 2>>c.err
campaign_file preview "$MODEL"
update || fail "nothing changed: $?"
echo "updates: listed, added, removed, rendered and finished again, killed on both sides of the commit"
