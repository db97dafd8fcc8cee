#include "training/round/applicants.h"

#include <algorithm>
#include <utility>

#include "crypto/hash.h"

namespace testudo::training {

namespace {
Digest lot_of(const Digest& beacon, const swarm::PeerId& peer) {
  return crypto::Hasher("testudo/application/1").bytes(beacon).bytes(peer.key().raw()).finish();
}
}  // namespace

void Applicants::hear(const swarm::Admission& application, net::TimePoint now, const Digest& beacon) {
  if (beacon != beacon_) {
    beacon_ = beacon;
    for (auto& [lot, heard] : std::exchange(by_lot_, {})) {
      by_lot_.emplace(lot_of(beacon, heard.application.peer), std::move(heard));
    }
  }
  by_lot_.insert_or_assign(lot_of(beacon, application.peer), Heard{application, now});
  if (by_lot_.size() > limit) by_lot_.erase(std::prev(by_lot_.end()));
}

void Applicants::forget(const swarm::PeerId& peer) { by_lot_.erase(lot_of(beacon_, peer)); }

void Applicants::forget_silent(net::TimePoint now) {
  std::erase_if(by_lot_, [now](const auto& entry) { return entry.second.when + lifetime < now; });
}

std::vector<swarm::Admission> Applicants::draw(
    std::size_t most, net::TimePoint now, const Digest& beacon,
    const std::function<bool(const swarm::PeerId&)>& eligible) const {
  std::map<Digest, swarm::Admission> by_lot;
  for (const auto& [lot, heard] : by_lot_) {
    if (heard.when + lifetime < now || !eligible(heard.application.peer)) continue;
    by_lot.emplace(lot_of(beacon, heard.application.peer), heard.application);
  }
  std::vector<swarm::Admission> drawn;
  for (const auto& [lot, application] : by_lot) {
    if (drawn.size() < most) drawn.push_back(application);
  }
  std::ranges::sort(drawn, {}, &swarm::Admission::peer);
  return drawn;
}

}  // namespace testudo::training
