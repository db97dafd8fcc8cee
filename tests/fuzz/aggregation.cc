// Aggregation rules on any finite floats: they end; what converged is finite, satisfies the rule's own stop,
// and lies between the contributions in every coordinate. And the cut of the parameters for any bandwidths
// covers them exactly.
#include <cmath>
#include <cstring>
#include <limits>

#include "tests/fuzz/fuzz.h"
#include "training/aggregation/rule.h"
#include "training/partition.h"

namespace testudo::fuzz {
namespace {

using namespace training;

void check_rules(Script& script) {
  const std::size_t members = 1 + script.below(8);
  const std::size_t size = 1 + script.below(12);
  const std::uint8_t choice = script.byte();
  const float g_max = choice % 2 == 0 ? 1e6F : 1e18F;
  const auto value = [&] {
    const auto bits = static_cast<std::uint32_t>(script.number(4));
    float x = 0;
    std::memcpy(&x, &bits, 4);
    return std::isfinite(x) ? std::clamp(x, -g_max, g_max) : 1.0F;
  };
  std::vector<std::vector<float>> parts(members, std::vector<float>(size));
  std::vector<double> weights(members);
  for (std::size_t i = 0; i < members; ++i) {
    for (float& x : parts[i]) x = value();
    weights[i] = 1 + static_cast<double>(script.below(100));
  }
  std::vector<float> start((choice & 2) != 0 ? size : 0);
  for (float& x : start) x = value();
  const std::vector<std::span<const float>> views(parts.begin(), parts.end());
  const double tau =
      (choice & 4) != 0 ? automatic : std::ldexp(1.0, static_cast<int>(script.below(120)) - 60);
  const DecodedParts all(views);
  const AggregationInput input{all, weights, start, tau, script.below(6), {script.byte()}};

  double magnitude = 0;
  for (const auto& part : parts) {
    for (const float x : part) magnitude = std::max<double>(magnitude, std::fabs(x));
  }
  for (const float x : start) magnitude = std::max<double>(magnitude, std::fabs(x));
  for (const char* name :
       {"mean", "coordinate_median", "centered_clip", "trimmed_mean", "geometric_median", "krum",
        "multi_krum", "nnm+geometric_median", "bucketing:2+trimmed_mean", "nnm+bucketing:3+centered_clip"}) {
    const auto rule = *make_rule(name);
    std::vector<float> aggregated;
    const Aggregate result = rule->aggregate(input, [&](std::size_t begin, std::span<const float> values) {
      TESTUDO_CHECK(begin == aggregated.size());
      aggregated.insert(aggregated.end(), values.begin(), values.end());
    });
    // The iterations start over at most twice, each time within the cap.
    TESTUDO_CHECK(result.iterations <= 3 * RuleOptions().iteration_cap);
    if (!result.converged) {
      TESTUDO_CHECK(aggregated.empty());
      continue;
    }
    TESTUDO_CHECK(aggregated.size() == size);
    if (rule->solves_clipped_sum()) TESTUDO_CHECK(result.residual <= result.stop);
    for (std::size_t j = 0; j < size; ++j) {
      float low = parts[0][j], high = parts[0][j];
      for (const auto& part : parts) {
        low = std::min(low, part[j]);
        high = std::max(high, part[j]);
      }
      const float v = aggregated[j];
      // Of the greatest number that takes part, members being added in float deviations from the start.
      const double rounding = 1e-5 * magnitude;
      TESTUDO_CHECK(std::isfinite(v) && v >= low - rounding && v <= high + rounding);
    }
  }
}

void check_partition(Script& script) {
  const std::size_t values = script.number(3);
  std::vector<ReducerCapacity> roster(1 + script.below(20));
  for (ReducerCapacity& member : roster) {
    member.bandwidth = script.number(8) >> script.below(64);
    member.client_mode = script.below(4) == 3;
  }
  const Digest seed{script.byte()};
  for (const auto& parts :
       {partition_equal(values, roster, seed), partition_by_bandwidth(values, roster, seed)}) {
    if (!parts) {
      TESTUDO_CHECK(parts.error().code == ErrorCode::refused);
      continue;
    }
    std::size_t at = 0;
    for (const PartRange& part : *parts) {
      TESTUDO_CHECK(part.begin == at && part.size > 0 && part.reducer < roster.size());
      TESTUDO_CHECK(!roster[part.reducer].client_mode);
      at += part.size;
    }
    TESTUDO_CHECK(at == values);
  }
}

void run(ByteView input) {
  Script script(input);
  if (script.flag()) {
    check_partition(script);
  } else {
    check_rules(script);
  }
}

std::vector<Bytes> seeds() {
  std::vector<Bytes> out;
  for (std::uint8_t i = 0; i < 8; ++i) {
    crypto::SeededRng rng(std::uint64_t{i});
    Bytes bytes(200);
    rng.fill(bytes);
    bytes[0] = static_cast<std::uint8_t>(i == 7);
    bytes[1] = i;
    bytes[3] = i;
    // Numbers of a sane size, but for some.
    for (std::size_t at = 4; at + 4 <= bytes.size(); at += 4)
      bytes[at] = static_cast<std::uint8_t>(0x3c + bytes[at] % 8);
    out.push_back(bytes);
  }
  return out;
}

const Registered target({"aggregation", run, seeds, 20});

}  // namespace
}  // namespace testudo::fuzz
