# people.sh - a trust store with people in it, and a campaign that shows them. Sourced behind farm.sh.
VACE=$(cd "$MODEL/../../vace-0" && pwd)
FACE=$SOURCE/models/face.png
export REELWRIGHT_TRUST=$WORK/trust
ffmpeg -v error -y -f lavfi -i testsrc2=s=160x120:d=1 -f lavfi -i sine=d=1 -shortest said.mp4
code_of() { "$PROGRAM" cameo challenge "$1" | sed -n 's/^The code is \([0-9]*\);.*/\1/p'; }
person() { # ID [NAME]: added and verified
  "$PROGRAM" cameo add "$1" --name "${2:-Person $1}" --face "$FACE" >/dev/null
  "$PROGRAM" cameo verify "$1" --recording said.mp4 --by Rita --passcode "$(code_of "$1")" >/dev/null
}
grant() { "$PROGRAM" cameo grant "$1" --purpose travel --audience anyone --until 2099-12-31 --face "${@:2}" >/dev/null; }
people_campaign() { # NAME STEPS: its table has the columns place and cameo
  local width height
  width=$(sed -n 's/.*"width": \([0-9]*\).*/\1/p' "$VACE/reference.json" | head -n 1)
  height=$(sed -n 's/.*"height": \([0-9]*\).*/\1/p' "$VACE/reference.json" | head -n 1)
  printf 'campaign: %s\nmodel: %s\ncustomers: %s.csv\nprompt: "a traveller at {{place}}"\nnegative: blurry\nseed: 5\nsize: %sx%s\nframes: 9\nfps: 8\nsteps: %s\nguidance: 4\nrenditions: [preview]\ncameo: {id: "{{cameo|}}", purpose: travel}\n' \
    "$1" "$VACE/model" "$1" "$width" "$height" "$2" >"$1.yaml"
}
