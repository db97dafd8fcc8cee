// nnm and bucketing: what is done to the contributions before another rule sees them. Both are weighted means
// of contributions, mixed as they are read (mixed_parts.h).
//
// nnm+RULE (nearest-neighbour mixing; Allouah et al., Fixing by Mixing, AISTATS 2023): each contribution is
// replaced by the mean, by weight, of the n − f contributions nearest to it, itself included, f the tolerated
// hostile members; between equal distances the roster's order decides. A row keeps its member's weight.
//
// bucketing:S+RULE (Karimireddy et al., Byzantine-Robust Learning on Heterogeneous Datasets via Bucketing,
// ICLR 2022): the members, permuted by the seed of the input (permuted_order in partition.h), go into buckets
// of S, the last one smaller; RULE sees the mean of each bucket, by weight, with the weight of all in it. The
// permutation moves with the seed, so that no two members meet for long. A hostile member spoils its bucket
// at most: RULE is given the same hostile count among fewer rows, and the promise needs S · f < n / 2.
#include <algorithm>
#include <numeric>
#include <string>
#include <utility>

#include "training/aggregation/gram.h"
#include "training/aggregation/mixed_parts.h"
#include "training/aggregation/rules.h"
#include "training/arithmetic/float_environment.h"
#include "training/partition.h"

namespace testudo::training {

namespace {

class Wrapper : public AggregationRule {
 public:
  Wrapper(std::string_view prefix, std::unique_ptr<const AggregationRule> inner)
      : name_(std::string(prefix) + "+" + std::string(inner->name())), inner_(std::move(inner)) {}
  std::string_view name() const override { return name_; }
  bool solves_clipped_sum() const override { return false; }  // of what was mixed, not of what was sent
  bool uses_start() const override { return inner_->uses_start(); }

 protected:
  // The inner rule over the mixtures, each with its weight.
  Aggregate aggregate_mixed(const AggregationInput& input, std::vector<Mixture> mixtures,
                            std::span<const double> weights, const BlockSink& sink) const {
    const MixedParts mixed(input.parts, input.weights, std::move(mixtures));
    return inner_->aggregate({.parts = mixed,
                              .weights = weights,
                              .start = input.start,
                              .tau = input.tau,
                              .hostile_count = input.hostile_count,
                              .seed = input.seed},
                             sink);
  }

 private:
  std::string name_;
  std::unique_ptr<const AggregationRule> inner_;
};

class NearestNeighbourMixing final : public Wrapper {
 public:
  explicit NearestNeighbourMixing(std::unique_ptr<const AggregationRule> inner)
      : Wrapper("nnm", std::move(inner)) {}
  Aggregate aggregate(const AggregationInput& input, const BlockSink& sink) const override {
    const ScopedFloatEnvironment environment;
    check_input(input);
    const std::size_t members = input.parts.members();
    if (members == 0) return {};
    const std::vector<double> gram = gram_matrix(input.parts, {});
    std::vector<Mixture> mixtures(members);
    for (std::size_t i = 0; i < members; ++i) {
      Mixture& nearest = mixtures[i];
      nearest.resize(members);
      std::iota(nearest.begin(), nearest.end(), std::size_t{0});
      std::ranges::sort(nearest, {},
                        [&](std::size_t j) { return std::pair(square_distance(gram, members, i, j), j); });
      nearest.resize(members - tolerated(input));
      std::ranges::sort(nearest);
    }
    return aggregate_mixed(input, std::move(mixtures), input.weights, sink);
  }
};

class Bucketing final : public Wrapper {
 public:
  Bucketing(std::size_t bucket_size, std::unique_ptr<const AggregationRule> inner)
      : Wrapper("bucketing:" + std::to_string(bucket_size), std::move(inner)), bucket_size_(bucket_size) {}
  Aggregate aggregate(const AggregationInput& input, const BlockSink& sink) const override {
    const ScopedFloatEnvironment environment;
    check_input(input);
    const std::size_t members = input.parts.members();
    if (members == 0) return {};
    const std::vector<std::uint32_t> order = permuted_order(input.seed, members);
    std::vector<Mixture> buckets;
    std::vector<double> weights;
    for (std::size_t begin = 0; begin < members; begin += bucket_size_) {
      Mixture bucket;
      for (std::size_t k = begin; k < std::min(begin + bucket_size_, members); ++k)
        bucket.push_back(order[k]);
      std::ranges::sort(bucket);
      double weight = 0;
      for (const std::size_t member : bucket) weight += input.weights[member];
      weights.push_back(weight);
      buckets.push_back(std::move(bucket));
    }
    return aggregate_mixed(input, std::move(buckets), weights, sink);
  }

 private:
  std::size_t bucket_size_;
};

}  // namespace

std::unique_ptr<const AggregationRule> make_nnm(std::unique_ptr<const AggregationRule> inner) {
  return std::make_unique<NearestNeighbourMixing>(std::move(inner));
}

std::unique_ptr<const AggregationRule> make_bucketing(std::size_t bucket_size,
                                                      std::unique_ptr<const AggregationRule> inner) {
  return std::make_unique<Bucketing>(bucket_size, std::move(inner));
}

}  // namespace testudo::training
