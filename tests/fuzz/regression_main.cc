// The regression test of all fuzz targets, without libFuzzer: each target runs over its seeds, over the
// inputs kept in corpus/NAME, over their prefixes, and over seeded mutations of them. The same inputs in
// every run.
//
//   fuzz_regression CORPUS [RUNS] [TARGET...]   RUNS mutations of each target, divided by its cost
//
// Fails by abort (a property that does not hold, a sanitizer's finding with abort_on_error=1); then the input
// lies in ./crash-TARGET, and `fuzz_TARGET crash-TARGET` repeats it.
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "crypto/base/file.h"
#include "crypto/hash.h"
#include "crypto/rng.h"
#include "tests/fuzz/fuzz.h"

namespace testudo::fuzz {
namespace {

constexpr std::size_t max_input = 1024 * 1024;

// What runs now, for the handler of SIGABRT, which may do little else than write.
ByteView current_input;
std::string current_path;
std::string current_words;

void keep_input(int) {
  const int file = ::open(current_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  ssize_t written = ::write(STDERR_FILENO, current_words.data(), current_words.size());
  if (file >= 0) written = ::write(file, current_input.data(), current_input.size());
  (void)written;
  std::signal(SIGABRT, SIG_DFL);
  std::abort();
}

void run_one(const Target& target, ByteView input) {
  // At the end of an allocation of its own, so that a sanitizer sees a byte read beyond it.
  const Bytes copy = to_bytes(input);
  current_input = copy;
  target.run(copy);
}

std::vector<Bytes> kept_inputs(const std::string& folder) {
  std::vector<std::string> paths;
  if (std::filesystem::is_directory(folder)) {
    for (const auto& entry : std::filesystem::directory_iterator(folder)) paths.push_back(entry.path());
  }
  std::ranges::sort(paths);
  std::vector<Bytes> inputs;
  for (const std::string& path : paths) {
    auto content = read_file(path, max_input);
    if (!content) {
      std::fprintf(stderr, "fuzz_regression: %s\n", content.error().message.c_str());
      std::exit(1);
    }
    inputs.push_back(*std::move(content));
  }
  return inputs;
}

// A few small changes: bits, bytes at the edges of their range, pieces cut out, doubled, or taken from
// another input.
void mutate(Bytes& input, const std::vector<Bytes>& pool, crypto::Rng& rng) {
  static constexpr std::uint8_t edges[] = {0, 1, 0x7f, 0x80, 0xc0, 0xff};
  for (std::uint64_t changes = 1 + rng.below(4); changes-- > 0;) {
    const std::size_t at = input.empty() ? 0 : rng.below(input.size());
    const auto place = input.begin() + static_cast<std::ptrdiff_t>(at);
    const std::size_t size = std::min<std::size_t>(1 + rng.below(16), input.size() - at);
    switch (rng.below(6)) {
      case 0:
        if (!input.empty()) input[at] ^= static_cast<std::uint8_t>(1u << rng.below(8));
        break;
      case 1:
        if (!input.empty()) input[at] = edges[rng.below(std::size(edges))];
        break;
      case 2:
        input.insert(place, static_cast<std::uint8_t>(rng.below(256)));
        break;
      case 3:
        input.erase(place, place + static_cast<std::ptrdiff_t>(size));
        break;
      case 4: {
        const Bytes piece(place, place + static_cast<std::ptrdiff_t>(size));
        input.insert(place, piece.begin(), piece.end());
        break;
      }
      default: {
        const Bytes& other = pool[rng.below(pool.size())];
        const std::size_t from = other.empty() ? 0 : rng.below(other.size());
        const std::size_t length = std::min<std::size_t>(rng.below(64), other.size() - from);
        input.resize(at);
        append(input, ByteView(other).subspan(from, length));
      }
    }
  }
}

std::size_t run_target(const Target& target, const std::string& corpus, std::uint64_t runs) {
  std::vector<Bytes> pool = target.seeds();
  for (Bytes& kept : kept_inputs(corpus + "/" + target.name)) pool.push_back(std::move(kept));
  current_path = std::string("crash-") + target.name;
  current_words =
      std::string("fuzz_regression: ") + target.name + " failed; the input lies in " + current_path + "\n";
  pool.emplace_back();  // nothing at all
  std::size_t count = 0;
  for (const Bytes& input : pool) {
    run_one(target, input);
    const std::size_t step = 1 + input.size() * target.cost / 256;
    for (std::size_t size = 0; size < input.size(); size += step, ++count) {
      run_one(target, ByteView(input).first(size));
    }
  }
  crypto::SeededRng rng(crypto::blake2b(as_bytes(target.name)));
  for (std::uint64_t i = 0; i < runs / target.cost; ++i) {
    Bytes input = pool[rng.below(pool.size())];
    mutate(input, pool, rng);
    run_one(target, input);
  }
  return count + pool.size() + runs / target.cost;
}

}  // namespace
}  // namespace testudo::fuzz

int main(int argc, char** argv) {
  using namespace testudo::fuzz;
  if (argc < 2) {
    std::fprintf(stderr, "usage: fuzz_regression CORPUS [RUNS] [TARGET...]\n");
    return 2;
  }
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const std::uint64_t runs = arguments.size() > 1 ? std::stoull(arguments[1]) : 2000;
  const std::vector<std::string> chosen(
      arguments.begin() + std::min<std::ptrdiff_t>(2, std::ssize(arguments)), arguments.end());
  std::signal(SIGABRT, keep_input);
  std::ranges::sort(targets(), {}, [](const Target& target) { return std::string_view(target.name); });
  std::size_t ran = 0;
  for (const Target& target : targets()) {
    if (!chosen.empty() && std::ranges::find(chosen, target.name) == chosen.end()) continue;
    const auto begun = std::chrono::steady_clock::now();
    const std::size_t inputs = run_target(target, arguments[0], runs);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
    std::printf("%-18s %7zu inputs %6.2f s\n", target.name, inputs, took.count());
    std::fflush(stdout);
    ++ran;
  }
  if (ran == 0) {
    std::fprintf(stderr, "fuzz_regression: no such target\n");
    return 1;
  }
  return 0;
}
