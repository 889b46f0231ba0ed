#!/usr/bin/env bash
# run.sh OUT - the proof on a GPU, in eight minutes, from a bare checkout: OUT/record.txt to read, OUT/record.json for programs.
#
# Needs nvcc, cuBLASLt, cuDNN, NCCL, cmake, a C compiler, python3 with PyTorch; cuDNN and NCCL may be the Python packages that
# PyTorch brings. No MPI, HDF5, libav. A part that fails is recorded and the others run; the record is written after each part,
# so an interrupted run leaves what it had.
#
#   GPU_BACKEND=cpu tests/gpu/run.sh OUT    the same on the CPU back end, tiny shapes: proves this script
#   GPU_BACKEND=host tests/gpu/run.sh OUT   the CUDA back end's code with tests/cuda in place of the device: needs nvcc's headers
#   GPU_PARTS="ops parity" ...              only these parts (build always): ops parity torch bench ranks decode sanitizer
#   GPU_STEPS='bf16|14b 720p' ...           of these parts only the steps whose names match this regular expression
#   GPU_SECONDS=480                         all parts together
#   COMMIT=HASH                             what the record names, where the checkout has no history of its own
set -u
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
root=$(cd "$here/../.." && pwd)
[ $# = 1 ] || { sed -n '2,16p' "$0"; exit 2; }
mkdir -p "$1" && out=$(cd "$1" && pwd) || exit 2
backend=${GPU_BACKEND:-cuda}
tiny=; [ "$backend" = cuda ] || tiny=1
patience=(); [ "$backend" != host ] || patience=(--seconds 1000) # plain code, and perhaps other work on the same cores
export OMP_WAIT_POLICY=passive
parts=${GPU_PARTS:-ops parity torch bench ranks decode sanitizer}
[ "$backend" != host ] || parts=${GPU_PARTS:-ops parity ranks} # the others are too large for it
deadline=$((SECONDS + ${GPU_SECONDS:-480} - 10))
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
lines=$out/lines.jsonl
: >"$lines"
: >"$out/log.txt"

# ---- recording ---------------------------------------------------------------------------------------------------------------

record() { python3 "$here/record.py" "$lines" "$out" >>"$out/log.txt" 2>&1 || true; }

note() { printf '%s\n' "$1" >>"$lines"; } # a JSON object

wanted() { case " $parts " in *" $1 "*) return 0 ;; *) return 1 ;; esac; }

# step NAME SECONDS COMMAND...: JSON lines of its output go into the record, everything into the log.
step() {
  local name=$1 limit=$2 left=$((deadline - SECONDS)) rc begun=$SECONDS
  shift 2
  [[ $name =~ ${GPU_STEPS:-.} ]] || [ "$name" = build ] || return 0
  if [ "${int8:-0}" != 0 ] && [[ $name == *int8* ]]; then # a kernel that hangs would take the time of all that is left
    note "{\"part\": \"step\", \"name\": \"$name\", \"rc\": -1, \"why\": \", left out: the int8 ops failed\"}"
    return 1
  fi
  [ "$backend" != host ] || limit=$((20 * limit))
  [ "$limit" -lt "$left" ] || limit=$left
  if [ "$limit" -lt 3 ]; then
    note "{\"part\": \"step\", \"name\": \"$name\", \"rc\": -1, \"why\": \", no time left\"}"
    return 1
  fi
  printf '\n== %s: %s\n' "$name" "$*" | tee -a "$out/log.txt"
  timeout -k 5 "$limit" "$@" >"$work/step.out" 2>"$work/step.err"
  rc=$?
  grep -a '^{' "$work/step.out" >>"$lines"
  cat "$work/step.out" "$work/step.err" >>"$out/log.txt"
  tail -c 1500 "$work/step.err"
  note "{\"part\": \"step\", \"name\": \"$name\", \"rc\": $rc, \"seconds\": $((SECONDS - begun))}"
  echo "   rc $rc after $((SECONDS - begun)) s, $((deadline - SECONDS)) s left"
  record
  return $rc
}

# ---- this machine ---------------------------------------------------------------------------------------------------------------

gpu() { nvidia-smi --query-gpu="$1" --format=csv,noheader 2>/dev/null | head -1; }

commit=${COMMIT:-$(git -C "$root" rev-parse HEAD 2>/dev/null || echo unknown)}
sources=$(cd "$root" && find common kernels engine worker tests cmake -type f \( -name '*.[ch]' -o -name '*.cu*' -o -name '*.cmake' \) | LC_ALL=C sort |
  xargs cat | sha256sum | cut -c1-16)
note "{\"part\": \"machine\", \"gpu\": \"$(gpu name)\", \"driver\": \"$(gpu driver_version)\", \"memory\": \"$(gpu memory.total)\",
 \"commit\": \"$commit\", \"sources\": \"$sources\", \"when\": \"$(date -u +%Y-%m-%dT%H:%M:%SZ)\", \"backend\": \"$backend\",
 \"nvcc\": \"$(nvcc --version 2>/dev/null | grep -o 'release [^,]*' | cut -d' ' -f2)\", \"cores\": $(nproc)}"
sed -i -z 's/,\n /, /g' "$lines" # one line

# ---- building ---------------------------------------------------------------------------------------------------------------------

capability=$(gpu compute_cap | tr -d .)
roots=$(python3 "$here/roots.py" 2>/dev/null)
libraries=${LD_LIBRARY_PATH:-} # cuDNN loads parts of itself, and nvrtc, by name; PyTorch must find its own: not for all steps
for folder in ${roots//;/ }; do libraries=${libraries:+$libraries:}$folder/lib:$folder/lib64; done
generator=$(command -v ninja >/dev/null && echo Ninja || echo "Unix Makefiles")
build() {
  cmake -S "$here" -B "$work/build" -G "$generator" -DREELWRIGHT_GPU_BACKEND="$backend" -DREELWRIGHT_CUDA_ARCHITECTURES="${capability:-90}" \
    -DREELWRIGHT_CUDA_ROOTS="$roots" && cmake --build "$work/build" -j "$(nproc)"
}
export -f build
export here work backend capability roots generator
if ! step build 400 bash -c build; then
  echo "run.sh: not built; see $out/log.txt" >&2
  exit 1
fi
binary=$work/build/reelwright_gpu
program=(env "LD_LIBRARY_PATH=$libraries" "$binary")
fixtures=$root/tests/parity/fixtures
references=("$fixtures"/t2v-0 "$fixtures"/i2v_a14b-0 "$fixtures"/ti2v5b_i2v-0 "$fixtures"/flf2v-0 "$fixtures"/vace-0)

# ---- numbers ------------------------------------------------------------------------------------------------------------------------

if wanted ops; then
  step "ops bf16" 90 "${program[@]}" ops
  step "ops fp32" 40 "${program[@]}" ops --fp32
  [ "$backend" = cpu ] || step "ops fp8" 40 "${program[@]}" ops --fp8
  [ "$backend" = cpu ] || step "ops int8 attention" 40 "${program[@]}" ops --int8 --only attention || int8=$?
  [ "$backend" = cpu ] || step "ops without cuDNN" 40 "${program[@]}" ops --no-cudnn
fi
if wanted parity; then
  step "parity bf16" 80 "${program[@]}" parity "${references[@]}"
  step "parity fp32" 50 "${program[@]}" parity --fp32 "${references[@]}"
  [ "$backend" = cpu ] || step "parity fp8" 50 "${program[@]}" parity --fp8 "${references[@]}"
fi

# ---- speed ----------------------------------------------------------------------------------------------------------------------------

if wanted bench; then
  if [ $tiny ]; then
    step "transformer tiny" 60 "${program[@]}" bench --shape 1.3b --latent 1x8x8 --layers 1 --repeat 1 --profile
    step "rate upsampler tiny" 20 "${program[@]}" rate 6 5 8 --upsampled
    [ "$backend" = cpu ] || step "rate attention int8 tiny" 20 "${program[@]}" rate 1 100 1100 --attention --int8
    step "step tiny" 60 "${program[@]}" bench --stage step --shape 1.3b --latent 1x8x8 --layers 1 --repeat 1 --profile
  else
    step "rate ffn 14b" 20 "${program[@]}" rate 75600 13824 5120
    step "rate ffn 14b fp8" 20 "${program[@]}" rate 75600 13824 5120 --fp8
    step "rate upsampler" 20 "${program[@]}" rate 360 640 192 --upsampled
    step "rate attention" 60 "${program[@]}" rate 40 75600 75600 --attention
    step "rate attention int8" 40 "${program[@]}" rate 40 75600 75600 --attention --int8
    step "rate attention int8 480p" 20 "${program[@]}" rate 40 32760 32760 --attention --int8
    step "transformer 14b 720p" 60 "${program[@]}" bench --shape 14b --latent 21x90x160 --layers 2
    step "transformer 14b 720p by op" 60 "${program[@]}" bench --shape 14b --latent 21x90x160 --layers 2 --profile
    step "step 14b 720p" 60 "${program[@]}" bench --stage step --shape 14b --latent 21x90x160 --layers 2
    step "transformer 14b 720p fp8" 60 "${program[@]}" bench --shape 14b --latent 21x90x160 --layers 2 --fp8
    step "transformer 14b 720p fp8 by op" 60 "${program[@]}" bench --shape 14b --latent 21x90x160 --layers 2 --fp8 --profile
    step "transformer 14b 720p int8 attention" 60 "${program[@]}" bench --shape 14b --latent 21x90x160 --layers 2 --int8
    step "transformer 14b 720p int8 attention by op" 60 "${program[@]}" bench --shape 14b --latent 21x90x160 --layers 2 --int8 --profile
    step "transformer 14b 480p" 40 "${program[@]}" bench --shape 14b --latent 21x60x104 --layers 2
    step "transformer 5b 720p" 40 "${program[@]}" bench --shape 5b --latent 31x44x80 --layers 4
    step "transformer 1.3b 480p" 60 "${program[@]}" bench --shape 1.3b --latent 21x60x104
    step "step 1.3b 480p" 60 "${program[@]}" bench --stage step --shape 1.3b --latent 21x60x104
    step "step 1.3b 480p by op" 60 "${program[@]}" bench --stage step --shape 1.3b --latent 21x60x104 --profile
  fi
fi
if wanted torch; then step torch 60 python3 "$here/torch_rates.py" ${tiny:+cpu}; fi
if wanted ranks; then
  step "two ranks" 60 "${program[@]}" ranks "$fixtures/t2v-0" 2 "${patience[@]}"
  step "a rank dies" 60 "${program[@]}" fault
  step "four ranks" 60 "${program[@]}" ranks "$fixtures/vace-0" 4 "${patience[@]}"
fi
if wanted decode; then
  if [ $tiny ]; then
    step "decode tiny" 60 "${program[@]}" bench --stage vae-decode --shape 1.3b --latent 1x2x2 --repeat 1 --vae-bf16
  else
    decode=("${program[@]}" bench --stage vae-decode --repeat 1 --shape)
    step "decode 720p bf16" 40 "${decode[@]}" 14b --latent 5x90x160 --vae-bf16
    step "decode 720p bf16 frame by frame" 40 "${decode[@]}" 14b --latent 5x90x160 --vae-bf16 --one-by-one
    step "decode 720p bf16 by op" 40 "${decode[@]}" 14b --latent 5x90x160 --vae-bf16 --profile
    step "decode 720p fp32" 40 "${decode[@]}" 14b --latent 5x90x160
    step "decode 480p bf16" 40 "${decode[@]}" 14b --latent 5x60x104 --vae-bf16
    step "decode 720p z48 bf16" 40 "${decode[@]}" 5b --latent 5x44x80 --vae-bf16
  fi
fi

# ---- memory and races -----------------------------------------------------------------------------------------------------------------

if wanted sanitizer && [ ! $tiny ]; then
  sanitizer=$(command -v compute-sanitizer || echo "$(dirname "$(readlink -f "$(command -v nvcc)")")/compute-sanitizer")
  step "sanitizer memcheck" 90 env "LD_LIBRARY_PATH=$libraries" "$sanitizer" --tool memcheck --error-exitcode 9 "$binary" ops --no-cudnn
  for op in layernorm qk_norm_rope sumsq channel_norm attention; do
    step "sanitizer racecheck $op" 40 env "LD_LIBRARY_PATH=$libraries" "$sanitizer" --tool racecheck --error-exitcode 9 "$binary" ops --no-cudnn --only $op
    [ $op != attention ] || step "sanitizer racecheck int8 $op" 40 env "LD_LIBRARY_PATH=$libraries" "$sanitizer" --tool racecheck --error-exitcode 9 "$binary" ops --no-cudnn --int8 --only $op
  done
fi

record
cat "$out/record.txt"
! grep -qE '"ok": false|"rc": [1-9-]' "$lines"
