// Applicants: who asks this member for a seat, as far as it remembers them. Loop thread only; a value.
//
// Identities are free, so the memory is bounded, and nobody may take it by coming first: places in it are
// drawn by lot, and so is who of them COMMIT lists (draw()).
// 1. A lot is H(last beacon, name). Nobody knows a beacon before the coins are revealed, so no name is a good
//    one for longer than a round; and members that hear the same applications remember and list the same.
// 2. With each beacon the lots are drawn anew, among those that are remembered and those that repeat their
//    application, as everybody does once a second. Of N that do, one is listed in a round with probability
//    draw()'s limit / N, whoever was there before.
// What this does not answer: whoever makes names within a round can look for those with the best lots.
#pragma once

#include <functional>
#include <map>
#include <vector>

#include "net/async/scheduler.h"
#include "swarm/outcome.h"

namespace testudo::training {

class Applicants {
 public:
  static constexpr std::size_t limit = 256;
  // An application that was not repeated for so long does not count any more.
  static constexpr net::Duration lifetime = std::chrono::seconds(5);

  // `beacon` is that of the last applied round.
  void hear(const swarm::Admission& application, net::TimePoint now, const Digest& beacon);
  void forget(const swarm::PeerId& peer);
  void forget_silent(net::TimePoint now);
  // At most so many that `eligible` lets pass, ascending.
  std::vector<swarm::Admission> draw(std::size_t most, net::TimePoint now, const Digest& beacon,
                                     const std::function<bool(const swarm::PeerId&)>& eligible) const;

 private:
  struct Heard {
    swarm::Admission application;
    net::TimePoint when;
  };
  Digest beacon_{};
  std::map<Digest, Heard> by_lot_;  // under that beacon
};

}  // namespace testudo::training
