#include "training/simulation/gradient_attack.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "crypto/rng.h"
#include "training/arithmetic/reproducible.h"

namespace testudo::training {

namespace {

// What the attack makes of a gradient; it remembers the one before.
using Change = void (*)(const GradientAttack&, swarm::RoundNumber, std::span<float> gradient,
                        std::vector<float>& before);

void flip(const GradientAttack& attack, swarm::RoundNumber, std::span<float> gradient, std::vector<float>&) {
  const auto factor = static_cast<float>(-attack.scale);
  for (float& value : gradient) value *= factor;
}

// Signs ±1, the same of all members with this seed.
void draw(const GradientAttack& attack, swarm::RoundNumber round, std::span<float> gradient,
          std::vector<float>&) {
  const double length = norm(gradient) / std::sqrt(static_cast<double>(gradient.size()));
  const auto value = static_cast<float>(attack.scale * length);
  crypto::SeededRng rng(attack.seed + (round.value() << 32));
  for (float& entry : gradient) entry = rng.below(2) == 0 ? value : -value;
}

void clear(const GradientAttack&, swarm::RoundNumber, std::span<float> gradient, std::vector<float>&) {
  std::ranges::fill(gradient, 0.0F);
}

void delay(const GradientAttack&, swarm::RoundNumber, std::span<float> gradient, std::vector<float>& before) {
  std::vector<float> now(gradient.begin(), gradient.end());
  if (!before.empty()) std::ranges::copy(before, gradient.begin());
  before = std::move(now);
}

// A twentieth more: what no honest computer is off by, and no rule would notice.
void drift(const GradientAttack&, swarm::RoundNumber, std::span<float> gradient, std::vector<float>&) {
  for (float& value : gradient) value *= 1.05F;
}

struct Kind {
  GradientAttackName name;
  Change change;
};

constexpr Kind kinds[] = {
    {{"sign_flip", "the gradient with another sign, and longer"}, flip},
    {{"random_direction", "a random direction in place of the gradient, the same for all attackers"}, draw},
    {{"zero", "nothing: the work of computing it is spared"}, clear},
    {{"delayed", "the gradient of the round before"}, delay},
    {{"drift", "the gradient, a twentieth longer"}, drift},
};

class Poison final : public Misconduct {
 public:
  Poison(GradientAttack attack, Change change) : attack_(std::move(attack)), change_(change) {}
  void on_gradient(swarm::RoundNumber round, std::span<const PartRange>, std::span<float> gradient) override {
    if (round < swarm::RoundNumber(attack_.from_round)) return;
    if ((round.value() - attack_.from_round) % attack_.every != 0) return;
    change_(attack_, round, gradient, before_);
  }

 private:
  GradientAttack attack_;
  Change change_;
  std::vector<float> before_;
};

}  // namespace

const std::vector<GradientAttackName>& gradient_attack_names() {
  static const std::vector<GradientAttackName> names = [] {
    std::vector<GradientAttackName> all;
    for (const Kind& kind : kinds) all.push_back(kind.name);
    return all;
  }();
  return names;
}

Result<std::shared_ptr<Misconduct>> make_gradient_attack(const GradientAttack& attack) {
  const auto kind = std::ranges::find(kinds, attack.kind, [](const Kind& entry) { return entry.name.name; });
  if (kind == std::end(kinds) || attack.every == 0) {
    return fail(ErrorCode::invalid_argument, "no gradient attack is called \"" + attack.kind + "\"");
  }
  return std::make_shared<Poison>(attack, kind->change);
}

}  // namespace testudo::training
