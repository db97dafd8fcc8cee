// Every write of a member's life, one after another, goes wrong in every way. Whatever happens at it: nothing
// that was certified is lost, nobody diverges, nobody signs two things in one place, and the run ends.
#include "tests/training/sim_testing.h"

namespace testudo::training {
namespace {

using Fault = net::FaultyStorage::Fault;

constexpr std::uint64_t rounds = 3;

struct Size {
  std::size_t founders;
  std::size_t joiners;
};

SwarmOptions options_of(Size size) {
  return {.founders = size.founders,
          .joiners = size.joiners,
          .dimension = 40,
          .rounds = rounds,
          .start_members = static_cast<std::uint32_t>(size.founders + size.joiners),
          .codec = "fp32",
          .faulty_disks = true};
}

// The digests of the outcomes that a storage holds, by height.
std::vector<Digest> certified(net::Storage& storage) {
  const auto entries = storage.list("ledger/");
  REQUIRE(entries.has_value());
  std::vector<Digest> outcomes;
  for (const auto& [key, encoded] : *entries) {
    const auto certificate = swarm::Certificate::decode(encoded);
    REQUIRE(certificate.has_value());
    outcomes.push_back(certificate->outcome.digest());
  }
  return outcomes;
}

// How often a member writes when nothing goes wrong.
std::uint64_t count_writes(Size size, std::size_t member) {
  SimSwarm swarm(options_of(size));
  swarm.start_all();
  REQUIRE(run_until(swarm, [&] { return swarm.all_ended(); }, 10min));
  return swarm.member(member).disk->writes();
}

void check_end(SimSwarm& swarm, std::size_t members, const std::vector<Digest>& before) {
  const std::vector<Digest> outcomes = certified(swarm.member(0).storage);
  for (std::size_t i = 0; i < members; ++i) {
    auto& member = swarm.member(i);
    CAPTURE(i);
    REQUIRE(member.ended.has_value());
    REQUIRE_MESSAGE(member.ended->has_value(),
                    (member.ended->has_value() ? "" : member.ended->error().message));
    CHECK(member.participant->finished_rounds() == swarm::RoundNumber(rounds));
    CHECK(std::ranges::equal(member.participant->parameters(), swarm.member(0).participant->parameters()));
    for (const auto& removal : member.removals) CHECK_FALSE(is_ban(removal.fault));
    CHECK(certified(member.storage) == outcomes);
  }
  // What the victim had certified when it was struck is where it was.
  REQUIRE(outcomes.size() >= before.size());
  CHECK(std::equal(before.begin(), before.end(), outcomes.begin()));
}

enum class Hit { victim, everybody };

void strike(Size size, std::size_t victim, std::uint64_t write, Fault fault, std::uint64_t count, Hit hit) {
  CAPTURE(size.founders);
  CAPTURE(victim);
  CAPTURE(write);
  SimSwarm swarm(options_of(size));
  const std::size_t members = size.founders + size.joiners;
  swarm.start_all();
  auto& member = swarm.member(victim);
  member.disk->plan(write, fault, count);
  REQUIRE(run_until(swarm, [&] { return member.disk->writes() >= write || swarm.all_ended(); }, 10min));
  const std::vector<Digest> before = certified(member.storage);
  if (member.disk->dead() || (member.ended && !*member.ended)) {
    // Dead, or it could not even begin: somebody starts it again.
    if (member.ended) {
      REQUIRE(write == 1);
      CHECK(member.ended->error().code == ErrorCode::io);
    }
    for (std::size_t i = 0; i < members; ++i) {
      if (i == victim || (hit == Hit::everybody && !swarm.member(i).ended)) swarm.crash(i);
    }
    for (std::size_t i = 0; i < members; ++i) {
      swarm.scheduler().run_for(300ms);
      if (!swarm.member(i).running()) swarm.start(i);
    }
  }
  REQUIRE(run_until(swarm, [&] { return swarm.all_ended(); }, 30min));
  check_end(swarm, members, before);
}

void strike_everywhere(Fault fault, std::uint64_t count = 1, Hit hit = Hit::victim) {
  Picked picked;
  for (const Size size : {Size{1, 1}, Size{2, 1}, Size{3, 2}}) {
    // A founder, and who joined.
    for (const std::size_t victim : {std::size_t{0}, size.founders + size.joiners - 1}) {
      const std::uint64_t writes = count_writes(size, victim);
      REQUIRE(writes >= 2 * rounds);
      for (std::uint64_t write = 1; write <= writes; ++write) {
        if (picked.next()) strike(size, victim, write, fault, count, hit);
      }
    }
  }
}

TEST_CASE("a member killed just before any of its writes takes effect comes back and loses nothing") {
  strike_everywhere(Fault::death_before);
}

TEST_CASE("a member killed just after any of its writes took effect comes back and loses nothing") {
  strike_everywhere(Fault::death_after);
}

TEST_CASE("a power cut for all members just before or after any write of one of them loses nothing") {
  strike_everywhere(Fault::death_before, 1, Hit::everybody);
  strike_everywhere(Fault::death_after, 1, Hit::everybody);
}

TEST_CASE("a disk that is full at any write, and for two more, costs time only") {
  strike_everywhere(Fault::refused, 3);
}

TEST_CASE("a write that fails though it took effect is repeated and changes nothing") {
  strike_everywhere(Fault::in_doubt);
}

}  // namespace
}  // namespace testudo::training
