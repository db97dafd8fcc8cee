#include <doctest/doctest.h>

#include <limits>

#include "support.h"
#include "training/arithmetic/reproducible.h"
#include "training/optimizer/schedule.h"
#include "training/optimizer/sgd.h"
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

using namespace testudo;
using namespace testudo::training;

TEST_CASE("a schedule is linear between its points and constant outside") {
  const auto schedule = Schedule::parse("10:0, 20:1 ,40:0.5");
  REQUIRE(schedule.has_value());
  CHECK(schedule->rate(0) == 0);
  CHECK(schedule->rate(10) == 0);
  CHECK(schedule->rate(15) == 0.5);
  CHECK(schedule->rate(20) == 1);
  CHECK(schedule->rate(30) == 0.75);
  CHECK(schedule->rate(40) == 0.5);
  CHECK(schedule->rate(std::numeric_limits<std::uint64_t>::max()) == 0.5);
}

TEST_CASE("a single number is a constant schedule") {
  CHECK(Schedule::parse("0.1")->rate(12345) == 0.1);
  CHECK(Schedule::constant(0.25).points() == Schedule::parse(" 0.25 ")->points());
}

TEST_CASE("a schedule's text reads back bit for bit") {
  const auto schedule = *Schedule::parse("0:0.1,7:0.30000000000000004,9007199254740991:1e-300");
  CHECK(Schedule::parse(schedule.to_string())->points() == schedule.points());
}

TEST_CASE("malformed schedules are refused") {
  for (const auto* text :
       {"", ",", "0:", ":1", "0:0.1,", "0:0.1,0:0.2", "5:1,4:1", "0:-1", "0:nan", "0:inf", "-1:1", "1.5:1",
        "0:0.1 0.2", "0:1e999", "9007199254740992:1", "abc", "nan", "0:1;1:2"}) {
    CAPTURE(text);
    CHECK(!Schedule::parse(text));
  }
  std::string many = "0:1";
  for (std::size_t i = 1; i <= Schedule::point_limit; ++i) many += "," + std::to_string(i) + ":1";
  CHECK(!Schedule::parse(many));
}

TEST_CASE("plain SGD steps against the gradient") {
  SteppingSgd sgd({.rate = Schedule::constant(0.5)});
  std::vector<float> x{1, 2};
  sgd.step(x, std::vector<float>{2, -4}, 0);
  CHECK(x == std::vector<float>{0, 4});
  CHECK(sgd.state.empty());
}

TEST_CASE("momentum, Nesterov and weight decay follow the written order") {
  const std::vector<float> gradient{1};
  SteppingSgd heavy({.rate = Schedule::constant(1), .momentum = 0.5});
  std::vector<float> x{0};
  heavy.step(x, gradient, 0);  // m = 1
  heavy.step(x, gradient, 1);  // m = 1.5
  CHECK(x[0] == -2.5F);
  CHECK(heavy.state[0] == 1.5F);
  SteppingSgd nesterov({.rate = Schedule::constant(1), .momentum = 0.5, .nesterov = true});
  x = {0};
  nesterov.step(x, gradient, 0);  // u = 1 + 0.5 · 1
  nesterov.step(x, gradient, 1);  // u = 1 + 0.5 · 1.5
  CHECK(x[0] == -3.25F);
  SteppingSgd decay({.rate = Schedule::constant(0.5), .weight_decay = 0.5});
  x = {4};
  decay.step(x, std::vector<float>{0}, 0);
  CHECK(x[0] == 3);
}

TEST_CASE("a gradient longer than the clip norm is shortened to it") {
  SteppingSgd sgd({.rate = Schedule::constant(1), .clip_norm = 1});
  std::vector<float> x{0, 0};
  sgd.step(x, std::vector<float>{30, 40}, 0);
  CHECK(norm(x) == doctest::Approx(1).epsilon(1e-7));
  x = {0, 0};
  sgd.step(x, std::vector<float>{0.25F, 0.5F}, 0);
  CHECK(x == std::vector<float>{-0.25F, -0.5F});
}

TEST_CASE("the state travels: a newcomer continues with the same bytes") {
  const SgdOptions options{.rate = *Schedule::parse("0:0.1,20:0.01"), .momentum = 0.9, .nesterov = true};
  SteppingSgd veteran(options);
  auto x = random_floats(1, 500);
  for (std::uint64_t t = 0; t < 10; ++t) veteran.step(x, random_floats(t + 10, 500), t);
  SteppingSgd newcomer(options);
  auto y = x;
  newcomer.state = veteran.state;
  for (std::uint64_t t = 10; t < 20; ++t) {
    veteran.step(x, random_floats(t + 10, 500), t);
    newcomer.step(y, random_floats(t + 10, 500), t);
  }
  CHECK(fingerprint(x) == fingerprint(y));
}

TEST_CASE("options out of range are refused") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(!make_sgd({.momentum = 1}));
  CHECK(!make_sgd({.momentum = -0.1}));
  CHECK(!make_sgd({.momentum = nan}));
  CHECK(!make_sgd({.nesterov = true}));
  CHECK(!make_sgd({.weight_decay = -1}));
  CHECK(!make_sgd({.clip_norm = nan}));
}

TEST_CASE("a thousand steps have golden bits with every vector unit and inside a hostile float environment") {
  const SgdOptions options{.rate = *Schedule::parse("0:0,100:0.05,1000:0.001"),
                           .momentum = 0.9,
                           .nesterov = true,
                           .weight_decay = 5e-4,
                           .clip_norm = 10};
  const auto noise = random_floats(3, 1003 + 1000);
  for (const VectorUnit unit : all_units) {
    for (const bool hostile : {false, true}) {
      const ScopedVectorUnit limit(unit);
      SteppingSgd sgd(options);
      auto x = random_floats(2, 1003);
      std::vector<float> gradient(1003);
#if defined(__x86_64__)
      const unsigned before = _mm_getcsr();
#endif
      for (std::uint64_t t = 0; t < 1000; ++t) {
        for (std::size_t k = 0; k < x.size(); ++k) gradient[k] = x[k] + noise[k + t];
#if defined(__x86_64__)
        if (hostile) _mm_setcsr(before | 0x8040U | 0x4000U);
#endif
        sgd.step(x, gradient, t);
#if defined(__x86_64__)
        _mm_setcsr(before);
#endif
      }
      CHECK(fingerprint(x) == "8c37207773bac9d0");
      CHECK(fingerprint(sgd.state) == "b1bc5e6c0574c7ff");
    }
  }
}
