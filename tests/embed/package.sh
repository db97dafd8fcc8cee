#!/bin/bash
# Installs the build into a scratch prefix, checks what is there, builds the examples against it outside the source
# tree, and runs them together over loopback.
#
#   package.sh SOURCE BUILD TORCH     TORCH: 1 when the build has libtorch
set -euo pipefail

source=$1
build=$2
torch=$3
scratch=$(mktemp -d)
children=()

finish() {
  local status=$?
  for child in "${children[@]}"; do kill "$child" 2>/dev/null || true; done
  if ((status != 0)); then
    for log in "$scratch"/*.log "$scratch"/*.out; do
      [[ -s $log ]] && { echo "--- $log"; tail -n 40 "$log"; }
    done
  fi
  rm -rf "$scratch"
  exit "$status"
}
trap finish EXIT

fail() {
  echo "package: $*" >&2
  exit 1
}

cmake --install "$build" --prefix "$scratch/prefix" >"$scratch/install.log"
prefix=$scratch/prefix
testudo=$prefix/bin/testudo
lib=$(dirname "$(find "$prefix" -name libtestudo.so)")
[[ $("$testudo" --version) == testudo\ [0-9]* ]] || fail "the installed program does not run"

echo "package: what the libraries show"
for library in "$lib"/libtestudo*.so; do
  # Typeinfo, vtables and functions of the public classes; nothing of the floors, whose namespaces are these.
  shown=$(nm -DC --defined-only "$library")
  grep -q 'testudo::' <<<"$shown" || fail "$library shows nothing"
  ! grep -E 'testudo::(crypto|net|dht|swarm|training|node|face|log|tools)::|spdlog|tl::' <<<"$shown" ||
    fail "$library shows these internal symbols"
done
nm -DC --defined-only "$lib/libtestudo.so" >"$scratch/shown"
grep -q 'testudo::Node::Node' "$scratch/shown" || fail "libtestudo.so lacks Node"
ldd "$lib/libtestudo.so" >"$scratch/needed"
! grep torch "$scratch/needed" || fail "the network needs libtorch"

PKG_CONFIG_PATH=$lib/pkgconfig pkg-config --exists 'testudo >= 0.1' || fail "pkg-config does not find it"

echo "package: every header by itself, as C++17"
compilers=(g++ clang++-19)
for header in "$prefix"/include/testudo/*.h; do
  [[ $header == */torch.h ]] && continue  # the example that uses it is its check
  for compiler in "${compilers[@]}"; do
    echo "#include <testudo/$(basename "$header")>" |
      "$compiler" -std=c++17 -fsyntax-only -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror \
        -I"$prefix/include" -x c++ - || fail "$(basename "$header") with $compiler"
  done
done

# example NAME COMPILER: builds it, into $scratch/NAME-COMPILER.
example() {
  local name=$1 compiler=$2
  local out=$scratch/$name-$compiler
  cp -r "$source/examples/$name" "$scratch/$name-$compiler-source"
  cmake -S "$scratch/$name-$compiler-source" -B "$out" -DCMAKE_CXX_COMPILER="$compiler" -DCMAKE_CXX_STANDARD=17 \
    -DCMAKE_CXX_FLAGS="-Wall -Wextra -Wpedantic -Werror" -DCMAKE_PREFIX_PATH="$prefix" >"$out.log" 2>&1 ||
    fail "configuring $name with $compiler"
  cmake --build "$out" >>"$out.log" 2>&1 || fail "building $name with $compiler"
}

# await FILE PATTERN: until a line of the file matches; prints what the group in it matched.
await() {
  local file=$1 pattern=$2 deadline=$((SECONDS + 120))
  until [[ -s $file ]] && sed -nE "s#.*$pattern.*#\\1#p" "$file" | grep -m 1 .; do
    ((SECONDS < deadline)) || fail "nothing like '$pattern' in $file"
    read -r -t 0.1 <> <(:) || true
  done
}

# start NAME COMMAND...: in the background, with $scratch/NAME.out and NAME.log.
start() {
  local name=$1
  shift
  "$@" >"$scratch/$name.out" 2>"$scratch/$name.log" &
  children+=($!)
}

start bootstrap "$testudo" bootstrap --listen /ip4/127.0.0.1/tcp/0 --data "$scratch/bootstrap-data"
address=$(await "$scratch/bootstrap.out" 'listening (.*)')

echo "package: the example that averages, built by two compilers"
example average g++
example average clang++-19
average() { start "average-$1" "$scratch/average-$2/average" "$address" "${@:3}"; }
average 1 g++ new 1 2 -3.5
founder=${children[-1]}
run=$(await "$scratch/average-1.out" '([0-9a-f]{64})')
average 2 clang++-19 "$run" 3 2 1
second=${children[-1]}
average 3 g++ "$run" 5 -1 4
third=${children[-1]}
for child in "$founder" "$second" "$third"; do wait "$child" || fail "an example of average failed"; done
for member in 1 2 3; do
  printf '%s\n' 3 1 0.5 >"$scratch/expected"
  grep -v "$run" "$scratch/average-$member.out" |
    paste - "$scratch/expected" |
    awk '{ d = $1 - $2; if (NF != 2 || d > 1e-5 || d < -1e-5) bad = 1 } END { exit bad || NR != 3 }' ||
    fail "member $member has another mean: $(tr '\n' ' ' <"$scratch/average-$member.out")"
done

echo "package: a program without the run's model says so"
if "$testudo" join "$run" --bootstrap "$address" --data "$scratch/join-data" --listen /ip4/127.0.0.1/tcp/0 \
  >"$scratch/join.out" 2>"$scratch/join.log"; then
  fail "testudo join trained a model that it does not have"
fi
grep -q 'needs the program of whoever founded it' "$scratch/join.log" || fail "testudo join says something else"

if ((torch)); then
  echo "package: the example that trains a module"
  example train_torch g++
  start train-1 "$scratch/train_torch-g++/train_torch" "$address" new
  founder=${children[-1]}
  run=$(await "$scratch/train-1.out" 'run ([0-9a-f]{64})')
  start train-2 "$scratch/train_torch-g++/train_torch" "$address" "$run"
  second=${children[-1]}
  for child in "$founder" "$second"; do wait "$child" || fail "an example of train_torch failed"; done
  for member in 1 2; do
    awk '$1 == "round" { if (!first) first = $4; last = $4; parameters = $6 }
         END { if (!(last < first / 2)) exit 1; print parameters }' "$scratch/train-$member.out" \
      >"$scratch/parameters-$member" || fail "the loss of member $member did not fall: see train-$member.out"
  done
  cmp "$scratch/parameters-1" "$scratch/parameters-2" || fail "the members end with other parameters"
else
  if cmake -S "$source/examples/train_torch" -B "$scratch/no-torch" -DCMAKE_PREFIX_PATH="$prefix" \
    >"$scratch/no-torch.log" 2>&1; then
    fail "a package without libtorch claims to have its component"
  fi
  grep -q 'built without libtorch' "$scratch/no-torch.log" || fail "the missing component is not explained"
fi
echo "package: installed, found, built and run"
