// A member that is away for a while, in every phase of a round: its line drops, its laptop sleeps, its clock
// jumps. The others go on where the protocol lets them, nobody diverges, nobody but the absent one loses its
// seat, and afterwards it is back.
#include "tests/training/sim_testing.h"

namespace testudo::training {
namespace {

using swarm::Phase;

struct Size {
  std::size_t founders;
  std::size_t joiners;
};

constexpr Size sizes[] = {{1, 1}, {3, 2}};
// By then everybody has its seat and the state, and enters rounds together with the others.
constexpr std::uint64_t struck_round = 5;

// The moments at which a member is struck: when it starts to compute, when it has sent its message of a
// phase, when it has voted.
enum class Moment { compute, commit, reduce, reveal, vote };
constexpr Moment moments[] = {Moment::compute, Moment::commit, Moment::reduce, Moment::reveal, Moment::vote};

bool has_come(const SimSwarm::Member& member, Moment moment) {
  const auto said = [&member](Phase phase) {
    return member.said.round == swarm::RoundNumber(struck_round) && member.said.phase == phase;
  };
  switch (moment) {
    case Moment::compute:
      return member.started_round == struck_round;
    case Moment::commit:
      return said(Phase::commit);
    case Moment::reduce:
      return said(Phase::reduce);
    case Moment::reveal:
      return said(Phase::reveal);
    case Moment::vote:
      // With its certificate at hand a member need not vote any more.
      return member.voted_round == struck_round || member.reports.contains(struck_round);
  }
  return false;
}

// Rounds of some three seconds: an absence of ten is longer than several phases.
SwarmOptions options_of(Size size, std::uint64_t rounds) {
  return {.founders = size.founders,
          .joiners = size.joiners,
          .dimension = 40,
          .rounds = rounds,
          .start_members = static_cast<std::uint32_t>(size.founders + size.joiners),
          .codec = "fp32",
          .work = 1s};
}

void check_end(SimSwarm& swarm, std::size_t members, std::size_t victim, std::uint64_t rounds,
               bool others_missed) {
  const net::PeerId absent = swarm.member(victim).host->id();
  for (std::size_t i = 0; i < members; ++i) {
    CAPTURE(i);
    auto& member = swarm.member(i);
    REQUIRE(member.ended.has_value());
    REQUIRE_MESSAGE(member.ended->has_value(),
                    (member.ended->has_value() ? "" : member.ended->error().message));
    CHECK(member.participant->finished_rounds() == swarm::RoundNumber(rounds));
    CHECK(std::ranges::equal(member.participant->parameters(), swarm.member(0).participant->parameters()));
    for (const auto& removal : member.removals) {
      const bool may_be = others_missed || removal.peer == absent;
      CHECK_MESSAGE(may_be, removal.peer.short_text(), " lost its seat: ", name(removal.fault));
      CHECK_FALSE(is_ban(removal.fault));
    }
  }
  // It is back: the last round was everybody's.
  CHECK(swarm.member(victim).reports.at(rounds).contributors == members);
}

using Strike = void (*)(SimSwarm& swarm, SimSwarm::Member& member);
using Relieve = void (*)(SimSwarm& swarm, SimSwarm::Member& member);

enum class Absence { line, sleep };

void away(Absence kind, net::Duration absence, std::uint64_t rounds, Strike strike, Relieve relieve) {
  Picked picked;
  for (const Size size : sizes) {
    const std::size_t members = size.founders + size.joiners;
    for (const std::size_t victim : {std::size_t{0}, members - 1}) {  // a founder; who joined
      for (const Moment moment : moments) {
        if (!picked.next()) continue;
        CAPTURE(size.founders);
        CAPTURE(victim);
        CAPTURE(static_cast<int>(moment));
        SimSwarm swarm(options_of(size, rounds));
        swarm.start_all();
        auto& member = swarm.member(victim);
        REQUIRE(run_until(swarm, [&] { return has_come(member, moment); }, 5min));
        swarm.checker().not_calm();
        swarm.checker().disturbed(swarm.scheduler().now());
        strike(swarm, member);
        run_until(swarm, [] { return false; }, absence);
        relieve(swarm, member);
        swarm.checker().disturbed(swarm.scheduler().now());
        REQUIRE(run_until(swarm, [&] { return swarm.all_ended(); }, 60min));
        // Of a founder that is a quorum by itself, everybody else is cut off: it goes on alone. Not so one
        // that slept.
        const bool others_missed = kind == Absence::line && size.founders == 1 && victim == 0;
        check_end(swarm, members, victim, rounds, others_missed);
      }
    }
  }
}

void drop_line(SimSwarm& swarm, SimSwarm::Member& member) {
  swarm.network().partition({{member.host}}, net::SimNetwork::Across::breaks);
}
void stall_line(SimSwarm& swarm, SimSwarm::Member& member) {
  swarm.network().partition({{member.host}}, net::SimNetwork::Across::stalls);
}
void mend_line(SimSwarm& swarm, SimSwarm::Member&) { swarm.network().heal(); }

void close_laptop(SimSwarm& swarm, SimSwarm::Member& member) {
  stall_line(swarm, member);
  run_until(swarm, [] { return false; }, 30ms);  // what was on the wire has arrived
  member.process.freeze();
}
void open_laptop(SimSwarm& swarm, SimSwarm::Member& member) {
  member.process.thaw();
  mend_line(swarm, member);
}

TEST_CASE("a member whose connections break for ten seconds, in any phase, is back afterwards") {
  away(Absence::line, 10s, 12, drop_line, mend_line);
}

TEST_CASE("a member whose line is silent for ten seconds, in any phase, is back afterwards") {
  away(Absence::line, 10s, 12, stall_line, mend_line);
}

TEST_CASE(
    "a member that sleeps for a minute, in any phase, is back afterwards and costs nobody else a seat") {
  away(Absence::sleep, 60s, 30, close_laptop, open_laptop);
}

}  // namespace
}  // namespace testudo::training
