// What libFuzzer calls, around the one target that this program was linked with.
//
//   fuzz_NAME --write-seeds DIR    writes the target's seeds into DIR, for libFuzzer to start from
//   fuzz_NAME [libFuzzer's options] [CORPUS...] [INPUT...]
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "crypto/base/encoding.h"
#include "crypto/base/file.h"
#include "crypto/hash.h"
#include "tests/fuzz/fuzz.h"

namespace testudo::fuzz {
namespace {

int write_seeds(const Target& target, const std::string& folder) {
  for (const Bytes& seed : target.seeds()) {
    // Named by content, as libFuzzer names what it adds.
    const std::string path = folder + "/seed-" + to_hex(crypto::blake2b(seed)).substr(0, 16);
    if (auto written = write_file(path, seed); !written) {
      std::fprintf(stderr, "fuzz_%s: %s\n", target.name, written.error().message.c_str());
      return 1;
    }
  }
  return 0;
}

}  // namespace
}  // namespace testudo::fuzz

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  using namespace testudo::fuzz;
  TESTUDO_CHECK(targets().size() == 1);
  if (*argc == 3 && std::string_view((*argv)[1]) == "--write-seeds") {
    std::exit(write_seeds(targets().front(), (*argv)[2]));
  }
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  testudo::fuzz::targets().front().run({data, size});
  return 0;
}
