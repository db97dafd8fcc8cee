// Suite codec: what is computed over every byte that a round moves: coding, hashing, ciphering, the step.
#include "training/codec/codec.h"

#include <algorithm>
#include <array>

#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/merkle.h"
#include "crypto/rng.h"
#include "tools/bench/memory.h"
#include "tools/bench/suites.h"
#include "training/optimizer/sgd.h"

namespace testudo::bench {
namespace {

using training::CodecKind;

constexpr std::size_t frame = std::size_t{64} * 1024;  // what Noise seals at once
constexpr float g_max = 1e6F;

// GB/s from the seconds that `bytes` took.
Figure rate(const Figure& seconds, std::size_t bytes) {
  return mapped(seconds, [bytes](double s) { return static_cast<double>(bytes) / s / giga; });
}

std::vector<float> random_values(std::size_t count) {
  crypto::SeededRng rng(1);
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(rng.unit() - 0.5);
  return values;
}

void add_coding(const Options& options, Report& report, std::size_t count) {
  const std::vector<float> values = random_values(count);
  std::vector<float> decoded(count);
  constexpr std::array kinds = {CodecKind::fp32, CodecKind::fp16, CodecKind::int8};
  std::array<Bytes, kinds.size()> encoded;
  std::vector<std::function<void()>> subjects = {[&] { copy_all(values, decoded); },
                                                 [&] { keep(read_all(values)); }};
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    encoded[i].resize(encoded_size(kinds[i], count));
    subjects.emplace_back([&, i] { keep(encode_into(kinds[i], values, encoded[i]).has_value()); });
    subjects.emplace_back([&, i] { keep(decode(kinds[i], encoded[i], decoded, g_max).has_value()); });
  }
  const auto seconds = time_in_turns(options.repeat(9), subjects);

  const std::size_t bytes = count * sizeof(float);
  const Figure copy = rate(seconds[0], bytes);
  const Figure read = rate(seconds[1], bytes);
  report.add({"codec/memory/read", read, "GB/s", Better::higher, {"memcpy", copy.median}, {}});
  const double values_copied = static_cast<double>(count) / seconds[0].median / giga;
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    for (const bool back : {false, true}) {
      const Figure& taken = seconds[2 + 2 * i + (back ? 1 : 0)];
      const std::string row = "codec/" + std::string(name(kinds[i])) + (back ? "/decode" : "/encode");
      report.add(
          {row, rate(taken, bytes), "GB/s of floats", Better::higher, {"memory read", read.median}, {}});
      report.add({row + "/values",
                  mapped(taken, [count](double s) { return static_cast<double>(count) / s / giga; }),
                  "G values/s",
                  Better::higher,
                  {"memcpy of floats", values_copied},
                  {}});
    }
  }
}

void add_crypto(const Options& options, Report& report, std::size_t size) {
  const Bytes plain(size, 7);
  Bytes sealed(size / frame * (frame + crypto::Aead::kTagSize));
  Bytes opened(size);
  crypto::Aead aead(crypto::sha256(as_bytes("benchmark")));
  const std::size_t frames = size / frame;
  const auto plain_frame = [&](std::size_t i) { return ByteView(plain).subspan(i * frame, frame); };
  const auto sealed_frame = [&](std::size_t i) {
    return MutableByteView(sealed).subspan(i * (frame + crypto::Aead::kTagSize),
                                           frame + crypto::Aead::kTagSize);
  };
  std::vector<float> source(size / sizeof(float), 1.0F);
  const auto seconds = time_in_turns(
      options.repeat(9),
      {[&] { keep(read_all(source)); }, [&] { keep(crypto::tree_hash(plain)); },
       [&] { keep(crypto::blake2b(plain)); }, [&] { keep(crypto::sha256(plain)); },
       [&] {
         for (std::size_t i = 0; i < frames; ++i) aead.seal(i, {}, plain_frame(i), sealed_frame(i));
       },
       [&] {
         for (std::size_t i = 0; i < frames; ++i) {
           keep(aead.open(i, {}, sealed_frame(i), MutableByteView(opened).subspan(i * frame, frame)));
         }
       }});
  const double read = rate(seconds[0], size).median;
  constexpr std::array names = {"hash/tree", "hash/blake2b", "hash/sha256", "aead/seal 64 KiB",
                                "aead/open 64 KiB"};
  for (std::size_t i = 0; i < names.size(); ++i) {
    report.add({std::string("codec/") + names[i],
                rate(seconds[i + 1], size),
                "GB/s",
                Better::higher,
                {"memory read", read},
                {}});
  }
}

Result<void> add_step(const Options& options, Report& report, std::size_t count) {
  std::vector<float> parameters = random_values(count);
  const std::vector<float> gradient(parameters);
  std::vector<float> copy(count);
  std::vector<float> state(count), next(count), next_state(count);
  TRY(const auto plain, training::make_sgd({}));
  TRY(const auto momentum, training::make_sgd({.momentum = 0.9, .weight_decay = 1e-4}));
  const auto seconds = time_in_turns(
      options.repeat(7),
      {[&] { copy_all(gradient, copy); }, [&] { plain->step({parameters, {}, gradient, 0}, {next, {}}); },
       [&] { momentum->step({parameters, state, gradient, 0}, {next, next_state}); }});
  // memcpy reads and writes; the step reads the gradient, reads and writes the parameters, and the momentum.
  const double moved = 2 * rate(seconds[0], count * sizeof(float)).median;
  const Baseline baseline{"memcpy, read + written", moved};
  report.add({"codec/step/sgd",
              rate(seconds[1], 3 * count * sizeof(float)),
              "GB/s moved",
              Better::higher,
              baseline,
              {}});
  report.add({"codec/step/sgd momentum",
              rate(seconds[2], 5 * count * sizeof(float)),
              "GB/s moved",
              Better::higher,
              baseline,
              {}});
  return {};
}

}  // namespace

Result<void> run_codec(const Options& options, Report& report) {
  report.section("codec: one core, vectors larger than the caches");
  const std::size_t count = std::size_t{options.quick ? 1U : 32U} << 20;
  add_coding(options, report, count);
  add_crypto(options, report, count);
  return add_step(options, report, count);
}

}  // namespace testudo::bench
