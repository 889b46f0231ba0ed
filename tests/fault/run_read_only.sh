#!/usr/bin/env bash
# A campaign folder that becomes read-only in the middle of a run, all of it or the part that workers write to: the run says so and
# stops (3), nothing is half-written, nobody is blamed for it, and the run goes on once it can be written.
source "$(dirname "$0")/farm.sh"
[ "$(id -u)" = 0 ] || skip "needs root to mount"
trap 'unlock 2>/dev/null || true' EXIT

# A file system with open files cannot be remounted, so a read-only view of the folder is mounted over it: files that are opened
# from now on are refused, as after an error of the disk.
LOCKED=
lock() { # FOLDER
  mount --bind "$1" "$1" 2>/dev/null || skip "cannot mount here"
  LOCKED=$1
  mount -o remount,bind,ro "$1"
}
unlock() {
  [ -z "$LOCKED" ] || umount -l "$LOCKED"
  LOCKED=
}

locked() { # NAME FOLDER: of the campaign's, locked while both workers are in the middle of a shot
  campaign "$1" 12
  rm -f go
  provoke "$HOLD"
  run "$1"
  until_true 120 held "$1" 2
  mkdir -p "out-$1/clips"
  lock "$WORK/out-$1$2"
  release
  finish 3
  calm_down
  grep -q "out-$1$2 cannot be written: Read-only file system" "$1.err" || fail "the message does not say what cannot be written"
  unlock
  [ "$(times "$1" worker.aside)" = 0 ] || fail "$1: a worker is blamed for the folder"
  [ -z "$(find "out-$1" -name '*.draft.*')" ] || fail "$1: drafts are left over"
  [ "$(number "$1" finished)" = "$(find "out-$1/clips" -name '*.mp4' | wc -l)" ] || fail "$1: not as many files as finished clips"
  run "$1"
  finish 0
  check_complete "$1"
}
locked whole ""
locked clips /clips
locked latents /latents
same_files whole clips
same_files whole latents
echo "read-only as a whole, its clips, its latents: stopped, finished"
