#include "swarm/strikes.h"

#include <algorithm>
#include <map>

namespace testudo::swarm {

namespace {

struct StrikesOf {  // one member
  std::set<RoundNumber> rounds;
  std::set<PeerId> others;
};

std::vector<PeerId> ends_of(const Strike& strike) {
  std::vector<PeerId> ends{strike.peer};
  if (strike.other) ends.push_back(*strike.other);
  return ends;
}

}  // namespace

std::string_view advice(StrikeReason reason) {
  switch (reason) {
    case StrikeReason::silent_validator:
    case StrikeReason::silent_reducer:
      return "a member that was just restarted bears this, and nothing is wrong if it does not happen again";
    case StrikeReason::kept_result:
      return "this program did not do its part; is it the released one, and has it memory enough?";
    case StrikeReason::answered_challenge:
    case StrikeReason::given_up:
    case StrikeReason::unserved_audit:
      return "one of both lies, or a line loses or delays parts; if it is yours, give it more room";
    case StrikeReason::late:
    case StrikeReason::unconfirmed:
      return "one of both lies, or messages take too long; if your line or this computer is busy, give this "
             "member more room";
    case StrikeReason::undecided_dispute:
      return "one of both lies, or they compute too differently for the run's tolerance";
  }
  return "";
}

Struck count_strikes(std::span<const PastStrike> strikes, const std::vector<PeerId>& members,
                     const std::set<PeerId>& unreachable, std::size_t hostile_count) {
  std::vector<const PastStrike*> counted;
  std::map<PeerId, StrikesOf> all;
  for (const PastStrike& past : strikes) {
    const std::vector<PeerId> ends = ends_of(past.strike);
    const auto seated = [&](const PeerId& end) { return std::ranges::binary_search(members, end); };
    if (!std::ranges::all_of(ends, seated)) continue;
    counted.push_back(&past);
    for (const PeerId& end : ends) all[end].rounds.insert(past.round);
    if (!past.strike.other) continue;
    all[past.strike.peer].others.insert(*past.strike.other);
    all[*past.strike.other].others.insert(past.strike.peer);
  }

  // With F = 0 a strike between two cannot be: one is as likely as the other to be the one that lies.
  const std::size_t liars = std::max<std::size_t>(hostile_count, 1);
  std::vector<std::pair<std::size_t, PeerId>> alone;  // by rounds
  for (const auto& [peer, of_it] : all) {
    if (of_it.rounds.size() >= strike_limit && of_it.others.size() > liars)
      alone.emplace_back(of_it.rounds.size(), peer);
  }
  if (2 * alone.size() > members.size()) return {};
  std::ranges::sort(alone, [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first > b.first : a.second < b.second;
  });
  std::size_t room = (members.size() - unreachable.size()) / 2;
  Struck struck;
  const auto let_rest = [&](const std::vector<PeerId>& peers) {
    const auto reducers = static_cast<std::size_t>(
        std::ranges::count_if(peers, [&](const PeerId& peer) { return !unreachable.contains(peer); }));
    if (reducers > room) return;
    room -= reducers;
    struck.resting.insert(peers.begin(), peers.end());
  };
  for (const auto& [rounds, peer] : alone) {
    struck.out.insert(peer);
    let_rest({peer});
  }

  std::map<PeerId, std::set<RoundNumber>> rounds;
  for (const PastStrike* past : counted) {
    const std::vector<PeerId> ends = ends_of(past->strike);
    if (std::ranges::any_of(ends, [&](const PeerId& end) { return struck.out.contains(end); })) continue;
    bool too_many = false;
    for (const PeerId& end : ends) {
      rounds[end].insert(past->round);
      too_many = too_many || rounds[end].size() >= strike_limit;
    }
    if (!too_many) continue;
    struck.out.insert(ends.begin(), ends.end());
    let_rest(ends);
  }
  return struck;
}

}  // namespace testudo::swarm
