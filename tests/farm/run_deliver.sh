#!/usr/bin/env bash
# What follows when clips are made: an upload by a command that fails at first, a webhook that is down at first, and a list of those who get
# nothing. Only what failed is done again, the receiver's key is the same then, and nothing is told twice. What was handed over and may not be
# shown any more is taken back, each version of it.
source "$(dirname "$0")/../fault/farm.sh"
command -v python3 >/dev/null || skip "no python3"
export HOOKS=$WORK/hooks REELWRIGHT_WEBHOOK_SECRET=whsec_c2VjcmV0
mkdir "$HOOKS"

cat >receive.py <<'P'
import http.server, os, sys
class Post(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        down = os.path.exists("hook_down")
        open("posts.log", "a").write("%s %s %s %s\n" % (503 if down else 204, self.headers["webhook-id"],
                                     self.headers.get("webhook-signature", "-")[:3], body.decode()))
        self.send_response(503 if down else 204); self.end_headers()
    def log_message(self, *a): pass
s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Post)
open("port.tmp", "w").write(str(s.server_port)); os.rename("port.tmp", "port")
s.serve_forever()
P
python3 receive.py &
RECEIVER=$!
trap 'kill $RECEIVER' EXIT
until_true 60 test -f port

# Gets a clip's order on its standard input and nothing in its arguments.
cat >upload.sh <<'U'
#!/usr/bin/env bash
set -eu
[ $# = 0 ]
order=$(cat)
if [[ $order == *'"action":"withdraw"'* ]]; then
  [ ! -f "$HOOKS/down" ] || exit 9
  echo "$order" >>"$HOOKS/withdrawn"
  exit 0
fi
eval "$(python3 -c 'import json, sys, shlex
o = json.load(sys.stdin)
print("clip=%s key=%s first=%s sum=%s count=%d" % (*map(shlex.quote, (o["clip"], o["key"], o["files"][0]["path"], o["files"][0]["sha256"])), len(o["files"])))' <<<"$order")"
echo "$clip $key" >>"$HOOKS/tries"
[ "$(sha256sum <"$first" | cut -c1-64)" = "$sum" ] || { echo "another file than was said" >&2; exit 3; }
[ "$count" -ge 3 ] && [ -f "$first" ]
[ ! -f "$HOOKS/down" ] || [ "$clip" != ben ] || { echo "no room in the store" >&2; exit 9; }
if [ -f "$HOOKS/dying" ] && [ "$clip" = ben ]; then # whoever gave this order dies after the store has the clip
  until [ -s "$HOOKS/die" ]; do sleep 0.05; done
  kill -9 "$(cat "$HOOKS/die")"
fi
[ ! -f "$HOOKS/mute" ] || [ "$clip" != carl ] || kill -9 $$
[ -f "$HOOKS/seen.$key" ] && { echo '{"url":"https://store.example.com/again"}'; exit 0; }
touch "$HOOKS/seen.$key"
echo "{\"url\":\"https://store.example.com/$clip\"}"
U
chmod +x upload.sh
printf 'id,name,mail\nanna,Anna,anna@example.com\nben,Ben,ben@example.com\ncarl,Carl,Carl@Example.com\ndora,Dora,dora@example.com\nemil,Emil,\n' >post.csv
{ echo 'email;since'; echo '"carl@example.com";2025'; printf 'dora@example.com' | sha256sum | cut -c1-64; } >stop.csv
cat >post.yaml <<Y
campaign: post
model: $MODEL
customers: post.csv
prompt: "a red cat"
seed: 5
size: 32x48
frames: 5
fps: 8
steps: 2
guidance: 4.0
renditions: [preview]
variants: {cta: {A: now, B: later}}
deliver: {upload: "$WORK/upload.sh", time_limit: 20, retries: 1, parallel: 2, webhook: "http://127.0.0.1:$(cat port)/hook", suppress: stop.csv}
Y
"$PROGRAM" check post.yaml >check.txt 2>&1 || { cat check.txt; fail "check"; }
grep -q 'carl.*not delivered: it is in stop.csv, line 2' check.txt && grep -q 'dora.*stop.csv, line 3' check.txt || { cat check.txt; fail "check says who is refused"; }

touch hook_down "$HOOKS/down"
status=0
"$PROGRAM" run post.yaml --out out --workers 1 >run.out 2>run.err || status=$?
[ "$status" = 1 ] || fail "exit status $status, expected 1: a clip was not uploaded"
grep -q '1 clip could not be uploaded: it ended with status 9: no room in the store; `reelwright deliver' run.err || fail "what the run says"
line() { grep "^$1," "out/$2"; }
line ben delivery.csv | grep -q ',ben,approved,upload: it ended with status 9: no room in the store,clips/ben.mp4' || fail "the list: $(line ben delivery.csv)"
line anna delivery.csv | grep -q ',anna,delivered,.*webhook: 127.0.0.1:.*503' || fail "the list: $(line anna delivery.csv)"
line carl delivery.csv | grep -q ',carl,refused,.*stop.csv, line 2' || fail "the list: $(line carl delivery.csv)"
line anna uploads.csv | grep -q '^anna,delivered,20.*Z,https://store.example.com/anna,1,$' || fail "uploads: $(line anna uploads.csv)"
line ben uploads.csv | grep -q '^ben,approved,,,2,it ended with status 9' || fail "uploads: $(line ben uploads.csv)"
[ "$(head -1 out/webhooks.csv)" = clip_id,status,told_at,tries,reason ] || fail "webhooks: $(cat out/webhooks.csv)"
line anna webhooks.csv | grep -q '^anna,delivered,,2,"127.0.0.1:.*503' || fail "webhooks: $(line anna webhooks.csv)"
! line ben webhooks.csv || fail "a clip that is not delivered stands in webhooks.csv"
grep -q 'Variants.*<td>cta=A<td' out/report/index.html || fail "the arms in the report"
[ "$(grep -c '^ben' "$HOOKS/tries")" = 2 ] && [ "$(grep -c '^anna' "$HOOKS/tries")" = 1 ] || fail "tries"
[ "$(grep '^ben' "$HOOKS/tries" | sort -u | wc -l)" = 1 ] || fail "the key of a clip differs between its tries"

# Only what failed, and the same key; emil wants nothing any more, but has it; ben stands in the list now.
rm hook_down "$HOOKS/down"
printf 'ben\nemil\n' >>stop.csv
"$PROGRAM" deliver out >deliver.out 2>deliver.err || fail "deliver: $(cat deliver.err)"
grep -q '1 clip is not delivered, because of deliver.suppress' deliver.out || fail "what deliver says: $(cat deliver.out)"
line ben delivery.csv | grep -q ',ben,approved,"not delivered: it is in stop.csv, line 4"' || fail "the list: $(line ben delivery.csv)"
[ ! -e out/delivery/clips/ben.preview.mp4 ] && [ ! -e out/delivery/clips/ben.mp4 ] || fail "a clip that is not delivered lies in delivery/"
line emil delivery.csv | grep -q ',emil,delivered,,' || fail "the list: $(line emil delivery.csv)"
sed -i '/^ben$/d' stop.csv
"$PROGRAM" deliver out >deliver.out 2>deliver.err || fail "deliver: $(cat deliver.err)"
line ben delivery.csv | grep -q ',ben,delivered,,' || fail "the list: $(line ben delivery.csv)"
line ben uploads.csv | grep -q '^ben,delivered,20.*Z,https://store.example.com/ben,1,$' || fail "uploads: $(line ben uploads.csv)"
"$PROGRAM" deliver out >deliver.out 2>deliver.err || fail "deliver: $(cat deliver.err)"
[ "$(wc -l <"$HOOKS/tries")" = 5 ] || fail "something was uploaded again: $(cat "$HOOKS/tries")"
for clip in anna ben emil; do
  [ "$(grep "^204 .*\"clip\":\"$clip\"" posts.log | wc -l)" = 1 ] || fail "$clip was not told of once: $(cat posts.log)"
done
[ "$(grep '"clip":"anna"' posts.log | cut -d' ' -f2 | sort -u | wc -l)" = 1 ] || fail "the webhook's id differs between tries"
grep -q '^204 msg_[0-9a-f]* v1, .*"uploaded":"https://store.example.com/.*"event":"clip.delivered"' posts.log || fail "the webhook's body"
! grep -qE '@example|Anna|"path"' posts.log || fail "a cell or a path in the webhook"

# Who leaves the list of refusals is made after all, by a plain run. A list that is gone delivers nothing.
sed -i '/carl/d' stop.csv
"$PROGRAM" run post.yaml --out out --workers 1 >run.out 2>run.err || fail "the second run"
line carl delivery.csv | grep -q ',carl,delivered,,' || fail "the list: $(line carl delivery.csv)"
line emil delivery.csv | grep -q ',emil,delivered,,' || fail "the list: $(line emil delivery.csv)"
mv stop.csv gone.csv
status=0
"$PROGRAM" deliver out >deliver.out 2>deliver.err || status=$?
[ "$status" != 0 ] && grep -q 'nothing is delivered without deliver.suppress' deliver.err || fail "a list that is gone: $(cat deliver.err)"
mv gone.csv stop.csv

# All clips are made again, one row left the table: its clip is withdrawn, also by the webhook, when they take that. Then a customer is erased:
# both versions of the clip are withdrawn.
tries=$(wc -l <"$HOOKS/tries")
sed -i 's/^seed: 5/seed: 6/' post.yaml
sed -i '/^emil/d' post.csv
touch hook_down "$HOOKS/down"
status_is 1 "$PROGRAM" run post.yaml --out out --workers 1 --update >run.out 2>&1
[ -z "$(grep -l . "$HOOKS/withdrawn" 2>/dev/null)" ] || fail "withdrawn: $(cat "$HOOKS/withdrawn")"
line emil uploads.csv | grep -q '^emil,to be withdrawn,,https://store.example.com/emil,2,it ended with status 9' || fail "uploads: $(line emil uploads.csv)"
line emil webhooks.csv | grep -q '^emil,to be withdrawn,,2,"127.0.0.1:.*503' || fail "webhooks: $(line emil webhooks.csv)"
rm hook_down "$HOOKS/down"
for i in 1 2; do "$PROGRAM" deliver out >deliver.out 2>&1 || fail "deliver: $(cat deliver.out)"; done
line emil uploads.csv | grep -q '^emil,withdrawn,,https://store.example.com/emil,,$' || fail "uploads: $(line emil uploads.csv)"
line emil webhooks.csv | grep -q '^emil,withdrawn,,,$' || fail "webhooks: $(line emil webhooks.csv)"
line anna webhooks.csv | grep -q '^anna,delivered,20.*Z,1,$' || fail "webhooks: $(line anna webhooks.csv)"
"$PROGRAM" erase out anna >erase.txt 2>&1 || fail "erase: $(cat erase.txt)"
"$PROGRAM" deliver out >deliver.out 2>&1 || fail "deliver: $(cat deliver.out)"
[ "$(grep -c '^erased-.*,withdrawn,,,,$' out/uploads.csv)" = 2 ] || fail "uploads after the erasure: $(cat out/uploads.csv)"
[ "$(grep -c '^erased-.*,withdrawn,,,$' out/webhooks.csv)" = 2 ] || fail "webhooks after the erasure: $(cat out/webhooks.csv)"
tail -n +$((tries + 1)) "$HOOKS/tries" >later
python3 - "$HOOKS" <<'P' || fail "what was withdrawn: $(cat "$HOOKS/withdrawn"; grep withdrawn posts.log)"
import json, sys
asked = [json.loads(x) for x in open(sys.argv[1] + '/withdrawn')]
first, later = ({tuple(x.split()) for x in open(f)} for f in (sys.argv[1] + '/tries', 'later'))
key = lambda clip, of: {k for c, k in of if c == clip}
assert len(key('anna', later)) == 1 and len(key('anna', first)) == 2 and not key('emil', later), (first, later)
assert [x['clip'] for x in asked] == ['emil', 'anna', 'anna'], asked
assert {x['key'] for x in asked} == key('emil', first) | key('anna', first), asked
assert all(x['uploaded'] == 'https://store.example.com/' + x['clip'] and not any('path' in f for f in x['files']) for x in asked), asked
assert asked[0]['files'], asked
posts = [x.split(' ', 3) for x in open('posts.log')]
told = [(id, json.loads(body)) for status, id, signed, body in posts if status == '204' and '"clip.withdrawn"' in body]
assert sorted((o['clip'], o['key']) for _, o in told) == sorted((x['clip'], x['key']) for x in asked), told # they are told at once
tells = {id for status, id, signed, body in posts if '"clip.delivered"' in body}
assert len({id for id, _ in told}) == 3 and not tells & {id for id, _ in told}, told
assert all('action' not in o and 'folder' not in o and not any('path' in f for f in o['files']) for _, o in told), told
assert any(status == '503' and '"clip.withdrawn"' in body for status, _, _, body in posts), 'the webhook was not tried while it was down'
P

# Nobody knows whether the store has a clip: its command gave no answer, or who gave the order died before he could note one. Both are withdrawn
# when their rows leave the table; an upload that was refused is not.
sed -i 's/^seed: 6/seed: 7/' post.yaml
sed -i '/^anna/d' post.csv
touch "$HOOKS/down" "$HOOKS/mute"
status_is 1 "$PROGRAM" run post.yaml --out out --workers 1 --update >run.out 2>&1
grep -q '^carl,approved,,,2,it ' out/uploads.csv && grep -q '^carl,perhaps uploaded,,,,$' out/uploads.csv || fail "uploads: $(cat out/uploads.csv)"
! grep '^ben,perhaps' out/uploads.csv || fail "an upload that was refused is taken for one that nobody knows of"
rm "$HOOKS/down"
touch "$HOOKS/dying"
"$PROGRAM" deliver out >deliver.out 2>&1 &
echo $! >"$HOOKS/die.tmp"
mv "$HOOKS/die.tmp" "$HOOKS/die"
LAUNCHER=$!
finish 137
rm "$HOOKS/mute" "$HOOKS/dying" "$HOOKS/withdrawn"
sed -i '/^ben\|^carl/d' post.csv
printf 'gina,Gina,gina@example.com\n' >>post.csv
"$PROGRAM" run post.yaml --out out --workers 1 --update >run.out 2>&1 || fail "the last run: $(cat run.out)"
python3 - "$HOOKS" <<'P' || fail "what was withdrawn: $(cat "$HOOKS/withdrawn" "$HOOKS/tries")"
import json, sys
asked = [json.loads(x) for x in open(sys.argv[1] + '/withdrawn')]
key = {c: k for c, k in (x.split() for x in open(sys.argv[1] + '/tries'))} # the last one of each
for clip in ('ben', 'carl'):
    mine = {x['key']: x for x in asked if x['clip'] == clip}
    assert len(mine) >= 2, mine
    assert mine[key[clip]].get('perhaps') is True and 'uploaded' not in mine[key[clip]] and mine[key[clip]]['files'], mine
    assert all('uploaded' in x and 'perhaps' not in x for k, x in mine.items() if k != key[clip]), mine
P

# carl's row is gone; what is left of him in lists, logs and ledger goes when he is erased, and his id is refused when it comes back. Whole words
# only (-w): four letters stand in a page's pictures by chance, which are written in letters, too
grep -rqw carl out/uploads.csv out/events.jsonl || fail "nothing is left of carl: the search proves nothing"
"$PROGRAM" erase out carl >erase.txt 2>&1 || fail "erase of a row that left: $(cat erase.txt)"
grep -q 'whose row had left the table before' erase.txt || fail "what erase says: $(cat erase.txt)"
! grep -rliw 'carl' out || fail "carl is named after he was erased"
grep -rqw ben out/uploads.csv || fail "ben went with carl"
"$PROGRAM" erase out carl | grep 'erased before' >/dev/null || fail "carl can be erased twice"
status_is 2 "$PROGRAM" erase out nobody 2>/dev/null
printf 'carl,Carl,Carl@Example.com\n' >>post.csv
"$PROGRAM" check post.yaml --out out >check.txt 2>&1 || fail "check: $(cat check.txt)"
grep -q 'this customer was erased' check.txt || fail "check says nothing of the erased customer: $(cat check.txt)"
sed -i '/^carl/d' post.csv
"$PROGRAM" run post.yaml --out out --workers 1 >run.out 2>&1 || fail "a run after the erasure: $(cat run.out)"
"$PROGRAM" verify out >verify.txt 2>&1 || fail "verify after the erasure: $(cat verify.txt)"
! grep -rlE 'anna' out/ledger.db out/delivery.csv out/uploads.csv out/webhooks.csv || fail "the erased customer is named"
"$PROGRAM" expire out --older-than 0h >expire.txt || fail "expire: $(cat expire.txt)"
grep -q '4 customers erased' expire.txt && ! grep -rliwE 'ben|gina|emil' out || fail "expire leaves rows that left the table: $(cat expire.txt)"
echo "uploads, webhooks and the list of those who get nothing do what they should"
