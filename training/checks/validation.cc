#include "training/checks/validation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <string_view>

#include "crypto/hash.h"
#include "training/arithmetic/float_environment.h"

namespace testudo::training {

using swarm::PeerId;

namespace {

// Sketches measure a distance with a spread of some √(2/64) of it; what is a dispute in truth is decided by
// measuring, so that a little too much or too little only costs or spares the measurement.
constexpr double accused_beyond = 3;
constexpr double wrong_beyond = 2;

}  // namespace

std::size_t validator_count(std::size_t members, std::size_t hostile_count, std::uint32_t wanted,
                            std::uint32_t fruitless_voids) {
  if (members <= 2 * hostile_count + 1) return 0;
  const std::size_t most = std::min<std::size_t>({wanted, members / 4, members - 1 - 2 * hostile_count});
  return most > fruitless_voids ? most - fruitless_voids : 0;
}

std::vector<Validation> draw_validations(std::span<const PeerId> members, std::span<const PeerId> candidates,
                                         std::size_t count, const Digest& lot) {
  const auto place = [&lot](std::string_view domain, const PeerId& peer) {
    return std::pair(crypto::Hasher(domain).bytes(lot).bytes(peer.key().raw()).finish(), peer);
  };
  std::vector<std::pair<Digest, PeerId>> order;
  for (const PeerId& member : members) order.push_back(place("testudo/validator/1", member));
  std::ranges::sort(order);
  order.resize(std::min(count, order.size()));
  std::set<PeerId> validators;
  for (const auto& [hash, validator] : order) validators.insert(validator);

  std::set<std::pair<Digest, PeerId>> circle;
  for (const PeerId& candidate : candidates) {
    if (!validators.contains(candidate)) circle.insert(place("testudo/target/1", candidate));
  }
  std::vector<Validation> drawn;
  for (const auto& [hash, validator] : order) {
    if (circle.empty()) break;
    auto next = circle.lower_bound(place("testudo/target/1", validator));
    if (next == circle.end()) next = circle.begin();
    drawn.push_back({validator, next->second});
    circle.erase(next);
  }
  return drawn;
}

std::vector<Audit> draw_audits(std::span<const Validation> validators, std::size_t parts, const Digest& lot) {
  const std::vector<std::uint32_t> order = permuted_order(lot, parts);
  std::vector<Audit> drawn;
  for (std::size_t k = 0; k < validators.size() && parts > 0; ++k) {
    drawn.push_back({validators[k].validator, PartIndex(order[k % parts])});
  }
  return drawn;
}

bool is_disputed(const Statement& statement, std::span<const std::optional<Sketch>> shown, double tolerance) {
  const ScopedFloatEnvironment environment;
  if (statement.sketches.size() != shown.size()) return true;
  if (!statement.same && tolerance == 0) return true;
  RelativeDistance distance;
  for (std::size_t j = 0; j < shown.size(); ++j) {
    if (!shown[j]) continue;
    const Sketch& own = statement.sketches[j];
    if (statement.same && own != *shown[j]) return true;
    double difference = 0;
    double length = 0;
    for (std::size_t c = 0; c < sketch_size; ++c) {
      const double mine = own[c];
      const double apart = mine - static_cast<double>((*shown[j])[c]);
      difference += apart * apart;
      length += mine * mine;
    }
    distance.add(difference, length);
  }
  return !statement.same && distance.value() > accused_beyond * tolerance;
}

bool is_right(const Statement& statement, std::span<const std::optional<Sketch>> shown, double tolerance) {
  const auto compared = static_cast<std::size_t>(
      std::ranges::count_if(shown, [](const auto& sketch) { return sketch.has_value(); }));
  return 2 * compared > shown.size() && !is_disputed(statement, shown, tolerance);
}

void RelativeDistance::add(double difference_square, double length_square) {
  difference_ += difference_square;
  length_ += length_square;
}

double RelativeDistance::value() const {
  if (difference_ == 0) return 0;
  if (!(length_ > 0)) return std::numeric_limits<double>::max();
  return std::min(std::sqrt(difference_ / length_), std::numeric_limits<double>::max());
}

Verdict judge_measures(const std::vector<std::pair<swarm::PeerId, double>>& measures, double tolerance,
                       bool whole, const std::function<bool(const std::vector<swarm::PeerId>&)>& is_quorum) {
  std::vector<swarm::PeerId> wrong;
  std::vector<swarm::PeerId> right;
  for (const auto& [member, distance] : measures) {
    if (distance > wrong_beyond * tolerance) wrong.push_back(member);
    if (distance <= tolerance) right.push_back(member);
  }
  if (is_quorum(wrong)) return Verdict::wrong_contribution;
  if (whole && is_quorum(right)) return Verdict::false_accusation;
  return Verdict::undecided;
}

}  // namespace testudo::training
