#include "training/synthetic_model.h"

#include <doctest/doctest.h>

#include "support.h"
#include "training/arithmetic/reproducible.h"
#include "training/optimizer/sgd.h"

using namespace testudo;
using namespace testudo::training;

namespace {

Digest seed_of(std::uint8_t number) {
  Digest seed{};
  seed[0] = number;
  return seed;
}

}  // namespace

TEST_CASE("the same seed gives the same contribution and another seed another one") {
  SyntheticModel model({.dimension = 300});
  SyntheticModel twin({.dimension = 300});
  const auto x = model.initial_parameters(seed_of(1));
  CHECK(x == twin.initial_parameters(seed_of(1)));
  const auto a = contribution_of(model, x, seed_of(2), 8);
  const auto b = contribution_of(twin, x, seed_of(2), 8);
  const auto c = contribution_of(model, x, seed_of(3), 8);
  REQUIRE(a.has_value());
  CHECK(a->gradient == b->gradient);
  CHECK(a->gradient != c->gradient);
  CHECK(a->of.samples == 8);
  CHECK(a->of.loss == b->of.loss);
}

TEST_CASE("the gradient vanishes at the optimum but for noise that shrinks with the batch") {
  SyntheticModel model({.dimension = 10'000, .noise = 0.5});
  const auto small = contribution_of(model, model.optimum(), seed_of(1), 1);
  const auto large = contribution_of(model, model.optimum(), seed_of(1), 100);
  CHECK(norm(small->gradient) == doctest::Approx(0.5 * 100).epsilon(0.05));
  CHECK(norm(large->gradient) == doctest::Approx(0.05 * 100).epsilon(0.05));
  SyntheticModel silent({.dimension = 100, .noise = 0});
  const auto none = contribution_of(silent, silent.optimum(), seed_of(1), 1);
  CHECK(norm(none->gradient) == 0);
}

TEST_CASE("SGD on contributions reaches the optimum") {
  SyntheticModel model({.dimension = 1000, .noise = 0.2});
  auto x = model.initial_parameters(seed_of(1));
  const auto start = model.evaluate(x);
  SteppingSgd sgd({.rate = Schedule::constant(0.2), .momentum = 0.5});
  for (std::uint64_t t = 0; t < 100; ++t) {
    const auto contribution = contribution_of(model, x, seed_of(static_cast<std::uint8_t>(t)), 16);
    REQUIRE(contribution.has_value());
    sgd.step(x, contribution->gradient, t);
  }
  const auto end = model.evaluate(x);
  CHECK(end->loss < start->loss / 100);
  CHECK(end->accuracy > 0.95);
  CHECK(start->accuracy < 0.3);
  CHECK(fingerprint(x) == "842ec7b3493e548b");
}

TEST_CASE("the layout covers the parameters") {
  const SyntheticModel model({.dimension = 42});
  const auto layout = model.layout();
  REQUIRE(layout.size() == 1);
  CHECK(layout[0].offset == 0);
  CHECK(layout[0].shape == std::vector<std::int64_t>{42});
  CHECK(model.parameter_count() == 42);
}
