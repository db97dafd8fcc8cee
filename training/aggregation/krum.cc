// krum and multi_krum (Blanchard et al., Machine Learning with Adversaries: Byzantine Tolerant Gradient
// Descent, NIPS 2017). The score of a member is the sum of its squared distances to its n − f − 2 closest
// other members (at least one, where there is one), f the tolerated hostile members. krum gives the part of
// the member with the lowest score, multi_krum the mean of the n − f members with the lowest; between equal
// scores the roster's order decides.
//
// Weights: krum gives one member's part as it is and multi_krum picks heads, because hostile members are
// counted so: no weight matters to who is picked. The mean of multi_krum is weighted.
// Written order: squared distances ascending into one double; the mean in roster order. So the order of
// members decides only between equal scores, and shows in the last bits of multi_krum's mean.
// The paper's bound needs n > 2f + 2.
#include <algorithm>
#include <numeric>
#include <utility>

#include "training/aggregation/combine.h"
#include "training/aggregation/gram.h"
#include "training/aggregation/rules.h"
#include "training/arithmetic/float_environment.h"

namespace testudo::training {

namespace {

std::vector<double> scores(std::span<const double> gram, std::size_t members, std::size_t hostile) {
  const std::size_t wanted = members > hostile + 2 ? members - hostile - 2 : 1;
  std::vector<double> scores(members);
  std::vector<double> squares;
  for (std::size_t i = 0; i < members; ++i) {
    squares.clear();
    for (std::size_t j = 0; j < members; ++j) {
      if (j != i) squares.push_back(square_distance(gram, members, i, j));
    }
    std::ranges::sort(squares);
    for (std::size_t k = 0; k < std::min(wanted, squares.size()); ++k) scores[i] += squares[k];
  }
  return scores;
}

// The `count` members with the lowest scores, in roster order.
std::vector<std::size_t> lowest(std::span<const double> scores, std::size_t count) {
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, {}, [&](std::size_t i) { return std::pair(scores[i], i); });
  order.resize(count);
  std::ranges::sort(order);
  return order;
}

class Krum final : public AggregationRule {
 public:
  explicit Krum(bool many) : many_(many) {}
  std::string_view name() const override { return many_ ? "multi_krum" : "krum"; }
  bool solves_clipped_sum() const override { return false; }
  bool uses_start() const override { return false; }
  Aggregate aggregate(const AggregationInput& input, const BlockSink& sink) const override {
    const ScopedFloatEnvironment environment;
    check_input(input);
    const std::size_t members = input.parts.members();
    if (members == 0) return {};
    const std::size_t hostile = tolerated(input);
    const std::vector<double> gram = gram_matrix(input.parts, {});
    const auto picked = lowest(scores(gram, members, hostile), many_ ? members - hostile : 1);
    std::vector<double> weights;
    double total = 0;
    for (const std::size_t member : picked) {
      weights.push_back(many_ ? input.weights[member] : 1.0);
      total += weights.back();
    }
    combine(SelectedParts(input.parts, picked), weights, {}, total, sink);
    return {.converged = true};
  }

 private:
  bool many_;
};

}  // namespace

std::unique_ptr<const AggregationRule> make_krum() { return std::make_unique<Krum>(false); }
std::unique_ptr<const AggregationRule> make_multi_krum() { return std::make_unique<Krum>(true); }

}  // namespace testudo::training
