#!/bin/bash
# The rules of the house, checked on the text: which folder may include which.
#
#   layering.sh [ROOT]      check the tree at ROOT (default: this repository); prints each violation, exit 1 if any
#   layering.sh --self-test plant each kind of violation in a scratch tree and make sure that it is found
#
# tools → node → training → swarm → dht → net → crypto: an include never goes up. training/cuda includes nothing of ours; torch is
# included under training/torch, by tools, tests, examples and testudo/torch.h only; include/testudo includes nothing but
# itself of ours, and so do the examples.
set -euo pipefail

check() {
  local root=$1
  (cd "$root" && find . -type f \
    \( -name '*.h' -o -name '*.cc' -o -name '*.cu' -o -name '*.cuh' -o -name '*.cpp' \) -printf '%P\0' |
    LC_ALL=C grep -zE '^(crypto|net|dht|swarm|training|node|tools|include|tests|examples)/' | LC_ALL=C sort -z | xargs -0 -r awk '
      BEGIN {
        split("crypto net dht swarm training node tools tests", names, " ")
        for (i in names) floor[names[i]] = i + 0
      }
      function violation(why) {
        printf "%s:%d: %s (includes %s)\n", FILENAME, FNR, why, target
        found = 1
      }
      /^[ \t]*#[ \t]*(include|import)[ \t]*["<]/ {
        target = $0
        sub(/^[^"<]*["<]/, "", target)
        sub(/[">].*$/, "", target)
        quoted = $0 ~ /^[^<]*"/
        here = FILENAME; sub(/\/.*/, "", here)
        there = target; sub(/\/.*/, "", there)
        ours = there in floor || target ~ /^testudo\//

        if (quoted && target ~ /(^|\/)\.\.?\//) violation("includes are written from the root of the repository")
        if (target ~ /^(torch|ATen|c10|caffe2)\// && FILENAME !~ /^(training\/torch|tools|tests|examples)\// &&
            FILENAME != "include/testudo/torch.h")
          violation("torch is included under training/torch and by tools only")
        if (target ~ /^spdlog\// && target != "spdlog/fmt/fmt.h" && here != "tools")
          violation("a library logs through crypto/base/log.h, and only tools choose where to")
        if (FILENAME ~ /^training\/cuda\//) {
          if ((ours || quoted) && target !~ /^training\/cuda\//) violation("cuda includes nothing of ours")
        } else if (here == "examples") {
          if (quoted || there in floor) violation("an example includes what an installed package has")
        } else if (here == "include") {
          if (quoted && target !~ /^testudo\//) violation("the public face includes nothing internal")
          if (there in floor) violation("the public face includes nothing internal")
        } else if (there in floor && floor[there] > floor[here]) {
          violation("an include goes down only, and " there " lies above " here)
        }
        if (FILENAME !~ /^(training\/torch|tools|tests)\// && target ~ /^training\/torch\//)
          violation("only tools and tests include the torch adapter")
      }
      END { exit found }')
}

# expect NAME TEXT PATH INCLUDE: INCLUDE in a file at PATH must be found as a violation whose text holds TEXT.
expect() {
  local name=$1 text=$2 path=$3 line=$4 output
  local tree
  tree=$(mktemp -d "$scratch/XXXXXX")
  mkdir -p "$tree/$(dirname "$path")"
  printf '#pragma once\n%s\n' "$line" >"$tree/$path"
  if output=$(check "$tree"); then
    echo "self-test: not found: $name"
    return 1
  elif [[ $output != *"$path:2: "*"$text"* ]]; then
    echo "self-test: found as something else: $name: $output"
    return 1
  fi
}

self_test() {
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
  local up="goes down only"
  expect "crypto includes net" "$up" crypto/a.h '#include "net/host/host.h"'
  expect "net includes dht" "$up" net/deep/er/a.cc '#include "dht/a.h"'
  expect "dht includes swarm" "$up" dht/a.cc '  #  include "swarm/a.h"'
  expect "swarm includes training" "$up" swarm/a.h '#include <training/model.h>'
  expect "training includes node" "$up" training/a.h '#include "node/node.h"'
  expect "node includes tools" "$up" node/a.cc '#include "tools/cli/output.h"'
  expect "training includes tools" "$up" training/a.h '#include "tools/a.h"'
  expect "a tool includes a test" "$up" tools/a.cc '#include "tests/a.h"'
  expect "cuda includes crypto" "cuda includes nothing" training/cuda/a.cu '#include "crypto/hash.h"'
  expect "cuda includes the public face" "cuda includes nothing" training/cuda/a.h '#include <testudo/node.h>'
  expect "torch in the round" "training/torch" training/round/a.cc '#include <torch/torch.h>'
  expect "ATen in swarm" "training/torch" swarm/a.cc '#include <ATen/ATen.h>'
  expect "training includes the adapter" "torch adapter" training/a.cc '#include "training/torch/torch_model.h"'
  expect "the face includes net" "nothing internal" include/testudo/a.h '#include "net/host/host.h"'
  expect "the face includes a private file" "nothing internal" include/testudo/a.h '#include "detail.h"'
  expect "a logger of its own" "crypto/base/log.h" swarm/a.cc '#include <spdlog/spdlog.h>'
  expect "torch in the face" "training/torch" include/testudo/node.h '#include <torch/torch.h>'
  expect "an example includes a floor" "installed package" examples/a/main.cpp '#include <net/host/host.h>'
  expect "a relative path" "from the root" net/a.cc '#include "../dht/a.h"'

  local tree
  tree=$(mktemp -d "$scratch/XXXXXX")
  mkdir -p "$tree"/{training/torch,training/cuda,tools,include/testudo,crypto}
  echo '#include <torch/torch.h>' >"$tree/training/torch/a.cc"
  echo '#include "training/cuda/b.h"' >"$tree/training/cuda/a.cu"
  echo '#include "training/torch/a.h"' >"$tree/tools/a.cc"
  echo '#include <testudo/node.h>' >"$tree/include/testudo/a.h"
  echo '// #include "net/host/host.h" would go up' >"$tree/crypto/a.h"
  check "$tree" || { echo "self-test: what is allowed was refused"; return 1; }
  echo "layering: every planted violation was found"
}

case ${1-} in
  --self-test) self_test ;;
  -*) echo "usage: layering.sh [ROOT | --self-test]" >&2; exit 2 ;;
  *)
    check "${1-$(dirname "$0")/../..}" || { echo "layering: the includes above break the rules of the house"; exit 1; }
    echo "layering: every include goes down"
    ;;
esac
