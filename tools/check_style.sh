#!/usr/bin/env bash
# check_style.sh - the rules of CONTRIBUTING.md that a machine can check: formatting, who may know whom, banned functions.
set -u
cd "$(dirname "$(readlink -f "$0")")/.."
bad=0
complain() { printf 'style: %s\n' "$1"; printf '%s\n' "$2" | head -20; bad=1; }

sources=$(find common trust coordinator worker engine kernels tests tools -name '*.[ch]' -o -name '*.cc' | sort)
if command -v clang-format-14 >/dev/null; then
  list=$(echo "$sources" | xargs clang-format-14 --dry-run 2>&1 | sed -n 's/:[0-9]*:[0-9]*: warning: .*//p' | sort -u)
  [ -z "$list" ] || complain 'not formatted (clang-format-14 -i FILE):' "$list"
else
  echo 'style: clang-format-14 is not installed, formatting not checked'
fi

# folder: what it may include of ours
check_includes() {
  local folder=$1 allowed=$2 list
  list=$(grep -rnE '#include "(common|trust|kernels|engine|worker|coordinator)/' "$folder" --include='*.[ch]' --include='*.cc' |
    grep -vE "#include \"($allowed)/" | grep -v '^coordinator/main\.c:')
  [ -z "$list" ] || complain "$folder may include $allowed only:" "$list"
}
check_includes common 'common'
check_includes trust 'common|trust'
check_includes kernels 'common|kernels'
check_includes engine 'common|kernels|engine'
check_includes worker 'common|trust|kernels|engine|worker'
check_includes coordinator 'common|trust|coordinator'

# The rooms of a folder, from below: each knows itself and those before it; those in one word stand beside each other, and know each other not.
check_rooms() { # FOLDER 'ROOM ROOM' ...
  local folder=$1 below= rooms room list known
  shift
  known=$(printf '%s\n' $* | sort)
  list=$(ls "$folder"/*/*.c | cut -d/ -f2 | sort -u | grep -vxF "$known")
  [ -z "$list" ] || complain "$folder: rooms that tools/check_style.sh does not know; say what they may include:" "$list"
  for rooms in "$@"; do
    for room in $rooms; do
      list=$(grep -rnE "#include \"$folder/" "$folder/$room" --include='*.[ch]' | grep -vE "#include \"$folder/(${below:-$room}|$room)/")
      [ -z "$list" ] || complain "$folder/$room may include of $folder itself and these rooms only: ${below//|/ }:" "$list"
    done
    below="$below${below:+|}${rooms// /|}"
  done
}
check_rooms coordinator campaign ledger watch 'dispatch deliver' 'plan launch' verbs
check_rooms engine weights 'text speech' wan sample
check_rooms worker pictures 'cameo gate' proof finish render verbs

# a vendor library has one home
check_home() {
  local header=$1 home=$2 list
  list=$(grep -rnE "#include <($header)" common trust coordinator worker engine kernels | grep -vE "^($home)")
  [ -z "$list" ] || complain "<$header> is at home in $home only:" "$list"
}
check_home 'sqlite3\.h' 'coordinator/ledger'
check_home 'sodium\.h' 'trust/'
check_home 'hdf5\.h' 'worker/render/(checkpoint|trace|h5)'
check_home 'mpi(-ext)?\.h' 'common/link_mpi|kernels/coll_mpi'
check_home 'lib(av|sw)' 'worker/'
check_home 'libheif/.*' 'worker/pictures/heic'
check_home 'j(peglib|error)\.h' 'worker/pictures/photo'
check_home '(ass/ass|fontconfig/fontconfig)\.h' 'worker/finish/(letters|emoji)'
check_home '(hb.*|ft2build)\.h' 'worker/finish/emoji'
check_home 'qrencode\.h' 'worker/finish/overlay'
check_home 'zbar\.h' 'worker/finish/legible'
check_home 'ebur128\.h' 'worker/(finish/loudness|gate/)'
check_home 'curl/.*' 'coordinator/watch/webhook'
check_home 'microhttpd\.h' 'coordinator/watch/serve'
check_home 'csv\.h' 'coordinator/campaign/customers'
check_home '(c?yaml|cyaml/.*)\.h' 'coordinator/campaign/'

# files of people's are opened by one function, which keeps what is inside from asking for other files or addresses; footage.c opens memory
list=$(grep -rn 'avformat_open_input' worker --include='*.c' | grep -vE '^worker/(pictures/container|cameo/footage)\.c:')
[ -z "$list" ] || complain 'container_open (worker/pictures/container.h) opens files for libav:' "$list"

# a header says what it is for in its first line
list=$(echo "$sources" | grep '\.h$' | while read -r file; do
  head -n 1 "$file" | grep -q "^/\* ${file##*/} - " || echo "$file: expected \"/* ${file##*/} - what it is for\""
done)
[ -z "$list" ] || complain 'the first line of a header names it:' "$list"

# of shots and clips; a file that was handed over (handed.c) has a state of its own
list=$(grep -rn 'SET state' coordinator --include='*.c' | grep -vE '^coordinator/ledger/(counts|work|steer|review)\.c:|UPDATE handed SET')
[ -z "$list" ] || complain 'states are written in coordinator/ledger/: counts.c, work.c, steer.c and review.c only, with their counts (counts.h):' "$list"

list=$(grep -rnE '[^_a-z](strcpy|strcat|sprintf|gets|tmpnam|atoi|atof|strtok)[ ]*\(' common trust coordinator worker engine kernels --include='*.[ch]' --include='*.cc')
[ -z "$list" ] || complain 'banned function (unbounded, or fails silently):' "$list"
# a test that looks for an event that can never be there cannot fail
list=$(grep -rnE 'event\\?":.*events\.jsonl' tests --include='*.sh' | grep -v '^tests/fault/farm\.sh:')
[ -z "$list" ] || complain 'tests ask for events with happened, times or events (farm.sh):' "$list"
list=$(grep -rnE '(^|[^_a-z.])exit *\(' common trust coordinator worker engine kernels --include='*.c' | grep -v '^coordinator/main\.c:' | grep -v '//\|/\*\|_exit')
[ -z "$list" ] || complain 'exit() outside main.c:' "$list"
known='CMakeLists.txt CONTRIBUTING.md README.md cmake common configs coordinator engine kernels models quickstart.sh slurm tests tools trust worker'
list=$(git ls-files 2>/dev/null | grep -v '^\.' | cut -d/ -f1 | sort -u | grep -vxF "${known// /$'\n'}")
[ -z "$list" ] || complain 'the top folder holds what CONTRIBUTING.md names; this belongs elsewhere, or nowhere:' "$list"
[ $bad = 0 ] && echo 'style: fine'
exit $bad
