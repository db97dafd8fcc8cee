// Suite clip: the aggregation rules against the bytes that they cannot avoid to read.
#include <algorithm>
#include <array>

#include "crypto/rng.h"
#include "tools/bench/memory.h"
#include "tools/bench/suites.h"
#include "training/aggregation/rule.h"

namespace testudo::bench {
namespace {

constexpr std::size_t hostile_every = 4;

// Most near one another, some far away, as hostile contributions are: what makes CenteredClip iterate.
std::vector<std::vector<float>> contributions(std::size_t members, std::size_t dimension) {
  std::vector<std::vector<float>> all(members, std::vector<float>(dimension));
  for (std::size_t member = 0; member < members; ++member) {
    crypto::SeededRng rng(member);
    const float scale = member % hostile_every == hostile_every - 1 ? -100.0F : 1.0F;
    std::vector<float> noise(4096 + member);  // of a length of its own, so that members differ everywhere
    for (float& value : noise) value = static_cast<float>(rng.unit() - 0.5);
    for (std::size_t i = 0; i < dimension; ++i) all[member][i] = scale * (0.3F + noise[i % noise.size()]);
  }
  return all;
}

Result<void> add_rules(const Options& options, Report& report, std::size_t members, std::size_t dimension) {
  const auto vectors = contributions(members, dimension);
  const std::vector<std::span<const float>> views(vectors.begin(), vectors.end());
  const training::DecodedParts parts(views);
  std::vector<float> result(dimension);
  const std::vector<double> weights(members, 1.0);
  struct Subject {
    const char* rule;
    double passes;  // over the contributions
    const char* note;
  };
  // Rules with distances have to see all of them before they know any weight, and again to weigh them; krum
  // needs but one of them then.
  constexpr const char* once = "GB/s of 1 read";
  constexpr const char* twice = "GB/s of 2 reads";
  constexpr std::array subjects = {Subject{"centered_clip", 2, twice},
                                   Subject{"mean", 1, once},
                                   Subject{"coordinate_median", 1, once},
                                   Subject{"trimmed_mean", 1, once},
                                   Subject{"geometric_median", 2, twice},
                                   Subject{"krum", 1, once},
                                   Subject{"multi_krum", 2, twice},
                                   Subject{"nnm+trimmed_mean", 2, twice},
                                   Subject{"bucketing:2+geometric_median", 2, twice}};
  std::vector<std::function<void()>> calls = {[&] {
    for (const auto& view : views) keep(read_all(view));
  }};
  for (const Subject& subject : subjects) {
    TRY(auto made, training::make_rule(subject.rule));
    calls.emplace_back([&, rule = std::shared_ptr<const training::AggregationRule>(std::move(made))] {
      const auto store = [&result](std::size_t begin, std::span<const float> block) {
        std::ranges::copy(block, result.begin() + static_cast<std::ptrdiff_t>(begin));
      };
      keep(rule->aggregate({parts, weights, {}, training::automatic, members / hostile_every}, store)
               .converged);
    });
  }
  const auto seconds = time_in_turns(options.repeat(5), calls);
  const double bytes = static_cast<double>(members * dimension * sizeof(float));
  const double read = bytes / seconds[0].median / giga;
  for (std::size_t i = 0; i < subjects.size(); ++i) {
    const double touched = subjects[i].passes * bytes;
    report.add({"clip/" + std::string(subjects[i].rule) + "/" + std::to_string(members) + " x " +
                    std::to_string(dimension >> 10) + " Ki",
                mapped(seconds[i + 1], [touched](double s) { return touched / s / giga; }),
                subjects[i].note,
                Better::higher,
                {"memory read", read},
                {}});
  }
  return {};
}

}  // namespace

Result<void> run_clip(const Options& options, Report& report) {
  report.section("clip: aggregation of members x values, one core");
  const std::size_t dimension = std::size_t{options.quick ? 16U : 1024U} << 10;
  for (const std::size_t members : {4U, 8U, 16U, 64U}) {
    TRY_VOID(add_rules(options, report, members, dimension));
  }
  return {};
}

}  // namespace testudo::bench
