#include "swarm/roster.h"

#include "swarm/ballot.h"
#include "tests/swarm/testing.h"

using namespace testudo;
using namespace testudo::swarm;
using namespace testudo::testing;

namespace {
constexpr double hostile_share = 1.0 / 3;
}  // namespace

TEST_CASE("a roster starts with the founders, ascending, each with one vote") {
  auto ids = ids_of(make_keys(3));
  std::ranges::reverse(ids);
  const Roster roster(ids);
  CHECK(roster.size() == 3);
  CHECK(std::ranges::is_sorted(roster.members(), {}, &Member::id));
  CHECK(roster.total_weight() == 3);
  CHECK(roster.founding());
  for (const Member& member : roster.members()) {
    CHECK(member.founder);
    CHECK(member.since == RoundNumber(1));
    CHECK(roster.index_of(member.id) == static_cast<std::size_t>(&member - roster.members().data()));
  }
  CHECK_FALSE(roster.contains(make_keys(1, 9)[0].peer_id()));
}

TEST_CASE("an outcome removes, bans and admits; the order by id is kept and the original stays as it was") {
  const auto ids = ids_of(make_keys(6));
  const Roster before({ids[1], ids[3], ids[5]});
  Outcome outcome;
  outcome.round = RoundNumber(7);
  outcome.removed = {{ids[1], Fault::silent, {}}, {ids[5], Fault::equivocation, digest_of("proof")}};
  outcome.admitted = {{ids[0], false}, {ids[4], true}};
  const Roster after = before.after(outcome, hostile_share);
  CHECK(before.size() == 3);
  REQUIRE(after.size() == 3);
  CHECK(after.members()[0].id == ids[0]);
  CHECK(after.members()[1].id == ids[3]);
  CHECK(after.members()[2].id == ids[4]);
  CHECK(after.members()[2].client_mode);
  CHECK_FALSE(after.members()[2].founder);
  CHECK(after.members()[0].since == RoundNumber(8));
  CHECK(after.is_banned(ids[5]));
  CHECK_FALSE(after.is_banned(ids[1]));

  // An eliminated founder that comes back is a founder again; after a VOID it is there for the same round.
  Outcome back;
  back.round = RoundNumber(8);
  back.kind = OutcomeKind::voided;
  back.admitted = {{ids[1], false}};
  const Roster again = after.after(back, hostile_share);
  CHECK(again.members()[1].id == ids[1]);
  CHECK(again.members()[1].founder);
  CHECK(again.members()[1].since == RoundNumber(8));
}

TEST_CASE(
    "a roster knows who took part in the last applied round, also of those that lost their seats in it") {
  const auto ids = ids_of(make_keys(4));
  const Roster before(ids);
  CHECK(before.took_part().empty());
  Outcome applied;
  applied.round = RoundNumber(3);
  applied.present = ids;
  applied.removed = {{ids[0], Fault::silent, {}},
                     {ids[2], Fault::malformed, digest_of("proof")},
                     {ids[3], Fault::absent, {}}};  // with a COMMIT to nothing
  const Roster after = before.after(applied, hostile_share);
  CHECK(after.took_part() == std::vector<PeerId>{ids[0], ids[1]});
  CHECK(after.may_be_banned(ids[0]));
  CHECK(after.may_be_banned(ids[1]));
  CHECK_FALSE(after.may_be_banned(ids[2]));  // a second time
  Outcome voided;
  voided.round = RoundNumber(4);
  voided.kind = OutcomeKind::voided;
  voided.removed = {{ids[0], Fault::wrong_contribution, digest_of("proof")}, {ids[1], Fault::absent, {}}};
  CHECK(after.after(voided, hostile_share).took_part() == std::vector<PeerId>{ids[1]});
}

TEST_CASE("a banned founder is no founder any more: nobody waits for it, an eliminated one still counts") {
  const auto ids = ids_of(make_keys(5));
  const Roster before({ids[0], ids[1], ids[2], ids[3]});
  Outcome outcome;
  outcome.round = RoundNumber(7);
  outcome.removed = {{ids[1], Fault::wrong_contribution, digest_of("proof")}, {ids[2], Fault::silent, {}}};
  const Roster after = before.after(outcome, hostile_share);
  REQUIRE(after.founding());
  CHECK(after.founders().size() == 3);
  CHECK_FALSE(after.is_founder(ids[1]));
  CHECK(after.is_founder(ids[2]));
  // Two of four are no majority, two of the three that are left are one.
  CHECK_FALSE(is_quorum(before, {ids[0], ids[3]}, {ids[0], ids[3]}));
  CHECK(is_quorum(after, {ids[0], ids[3]}, {ids[0], ids[3]}));
}

TEST_CASE("while founding, a VOID that agrees on nothing gives founders their seats back, and nobody else") {
  const auto ids = ids_of(make_keys(5));
  Outcome outcome;
  outcome.round = RoundNumber(3);
  outcome.admitted = {{ids[4], false}};
  const Roster all = Roster({ids[0], ids[1], ids[2], ids[3]}).after(outcome, hostile_share);
  outcome = {};
  outcome.round = RoundNumber(4);
  outcome.removed = {{ids[0], Fault::silent, {}},
                     {ids[1], Fault::equivocation, digest_of("proof")},
                     {ids[4], Fault::absent, {}}};
  const Roster few = all.after(outcome, hostile_share);
  REQUIRE(few.size() == 2);

  Outcome nothing = plain_void({}, RoundNumber(5), Attempt(1), digest_of("head"));
  const Roster again = few.after(nothing, hostile_share);
  REQUIRE(again.size() == 3);
  REQUIRE(again.contains(ids[0]));
  const Member& back = again.members()[*again.index_of(ids[0])];
  CHECK(back.founder);
  CHECK(back.since == RoundNumber(5));
  CHECK(std::ranges::is_sorted(again.members(), {}, &Member::id));
  CHECK(again.is_banned(ids[1]));
  CHECK_FALSE(again.contains(ids[1]));
  CHECK_FALSE(again.contains(ids[4]));

  // One that was agreed on among those that took part takes nobody back.
  nothing.present = {ids[2], ids[3]};
  CHECK(few.after(nothing, hostile_share).size() == 2);
}

TEST_CASE("founders that have their seats back are in client mode if they were, and make no founded run") {
  const auto ids = ids_of(make_keys(founding_size));
  Roster roster({ids.begin(), ids.end() - 1});
  Outcome gone;
  gone.round = RoundNumber(1);
  gone.removed = {{ids[0], Fault::silent, {}}};
  roster = roster.after(gone, hostile_share);
  Outcome back;
  back.round = RoundNumber(2);
  back.admitted = {{ids[0], true}};
  roster = roster.after(back, hostile_share);
  Outcome last;
  last.round = RoundNumber(3);
  last.removed = {{ids[0], Fault::silent, {}}, {ids[1], Fault::silent, {}}};
  last.admitted = {{ids.back(), false}};
  roster = roster.after(last, hostile_share);
  REQUIRE(roster.size() == founding_size - 2);
  const Outcome nothing = plain_void({}, RoundNumber(4), Attempt(0), digest_of("head"));
  roster = roster.after(nothing, hostile_share);
  REQUIRE(roster.size() == founding_size);
  CHECK(roster.members()[*roster.index_of(ids[0])].client_mode);
  CHECK_FALSE(roster.members()[*roster.index_of(ids[1])].client_mode);
  CHECK(roster.founding());
  Outcome applied;
  applied.round = RoundNumber(4);
  CHECK_FALSE(roster.after(applied, hostile_share).founding());
}

TEST_CASE("a run that once had sixteen members is founded for ever") {
  const auto ids = ids_of(make_keys(founding_size));
  Roster roster({ids[0]});
  Outcome grow;
  grow.round = RoundNumber(1);
  for (std::size_t i = 1; i + 1 < ids.size(); ++i) grow.admitted.push_back({ids[i], false});
  roster = roster.after(grow, hostile_share);
  CHECK(roster.size() == founding_size - 1);
  CHECK(roster.founding());
  Outcome one;
  one.round = RoundNumber(2);
  one.admitted = {{ids.back(), false}};
  roster = roster.after(one, hostile_share);
  CHECK_FALSE(roster.founding());
  Outcome shrink;
  shrink.round = RoundNumber(3);
  for (std::size_t i = 1; i < 9; ++i) shrink.removed.push_back({ids[i], Fault::absent, {}});
  roster = roster.after(shrink, hostile_share);
  CHECK(roster.size() == founding_size - 8);
  CHECK_FALSE(roster.founding());
}

TEST_CASE("a third of equal votes are hostile at most, and exactly a third where it divides") {
  crypto::SeededRng rng(std::uint64_t{3});
  std::vector<PeerId> ids;
  for (std::size_t n = 1; n <= 300; ++n) {
    ByteArray<32> key;
    rng.fill(key);
    ids.emplace_back(crypto::PublicKey(key));
    CHECK(Roster(ids).greatest_hostile_count(1.0 / 3) == n / 3);
  }
  CHECK(Roster().greatest_hostile_count(1.0 / 3) == 0);
  CHECK(Roster(ids).greatest_hostile_count(0.49) == 147);
}

TEST_CASE("strikes make two rest from the round after the third of them on, and fade after their window") {
  const auto ids = ids_of(make_keys(5));
  Roster roster(ids);
  const auto round = [&](std::uint64_t number, std::vector<Strike> strikes) {
    Outcome outcome;
    outcome.round = RoundNumber(number);
    outcome.strikes = std::move(strikes);
    roster = roster.after(outcome, hostile_share);
  };
  const Strike strike{ids[1], StrikeReason::answered_challenge, ids[3]};
  round(1, {strike});
  round(2, {});
  round(3, {strike});
  CHECK(roster.resting().empty());
  CHECK(roster.members()[1].reduces());
  round(4, {strike});
  CHECK(roster.resting() == std::vector<PeerId>{ids[1], ids[3]});
  CHECK_FALSE(roster.members()[3].reduces());
  CHECK(roster.members()[3].weight == 1);
  CHECK(roster.members()[2].reduces());
  for (std::uint64_t number = 5; number < 1 + strike_window; ++number) round(number, {});
  CHECK(roster.strikes().size() == 3);
  CHECK(roster.resting().size() ==
        2);  // of round 1 + strike_window, the last that the first strike counts in
  round(1 + strike_window, {});
  CHECK(roster.strikes().size() == 2);
  CHECK(roster.resting().empty());
}

TEST_CASE("who is attempted in vain has its strikes all the same, and a seat lost and regained keeps them") {
  const auto ids = ids_of(make_keys(5));
  Roster roster(ids);
  for (std::uint64_t number = 1; number <= 3; ++number) {
    Outcome outcome;
    outcome.round = RoundNumber(number);
    outcome.kind = OutcomeKind::voided;
    outcome.strikes = {{ids[0], StrikeReason::silent_validator, std::nullopt}};
    roster = roster.after(outcome, hostile_share);
  }
  CHECK(roster.resting() == std::vector<PeerId>{ids[0]});
  Outcome lost;
  lost.round = RoundNumber(4);
  lost.removed = {{ids[0], Fault::absent, {}}};
  roster = roster.after(lost, hostile_share);
  CHECK(roster.resting().empty());
  Outcome back;
  back.round = RoundNumber(5);
  back.admitted = {{ids[0], false}};
  CHECK(roster.after(back, hostile_share).resting() == std::vector<PeerId>{ids[0]});
}
