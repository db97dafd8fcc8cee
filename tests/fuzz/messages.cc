// msgpack messages: the rule of one encoding for values of every kind that our messages hold, those of the
// state download, presences in the directory, and what is not a value at all.
#include "net/messages/message.h"
#include "swarm/directory.h"
#include "swarm/sync_messages.h"
#include "tests/fuzz/fuzz.h"

namespace testudo::fuzz {
namespace {

struct Inner {
  std::string text;
  std::vector<std::uint32_t> numbers;
  MSGPACK_DEFINE(text, numbers)
};
struct Everything {
  crypto::PeerId peer;
  Digest digest{};
  swarm::RoundNumber round;
  std::vector<Inner> inner;
  Bytes bytes;
  std::map<std::string, std::uint64_t> map;
  bool flag = false;
  float real = 0;
  std::int64_t number = 0;
  MSGPACK_DEFINE(peer, digest, round, inner, bytes, map, flag, real, number)
};

template <typename T>
void check(ByteView input) {
  if (const auto value = net::unpack<T>(input)) TESTUDO_CHECK(equal(net::pack(*value), input));
  TESTUDO_CHECK(!net::unpack<T>(input, {.size = input.empty() ? 0 : input.size() - 1}) || input.empty());
}

void run(ByteView input) {
  check<Everything>(input);
  check<std::vector<Bytes>>(input);
  check<std::vector<std::vector<std::vector<std::string>>>>(input);
  check<swarm::sync::Request>(input);
  check<swarm::sync::HeadReply>(input);
  check<swarm::sync::CertificatesReply>(input);
  check<swarm::sync::LeavesReply>(input);
  check<swarm::sync::ChunkReply>(input);
  check<swarm::sync::PathReply>(input);
  check<swarm::sync::StepReply>(input);
  if (const auto presence = swarm::Presence::decode(input)) {
    TESTUDO_CHECK(presence->agent.size() <= swarm::Presence::max_agent && equal(presence->encode(), input));
  }
}

std::vector<Bytes> seeds() {
  using namespace swarm::sync;
  const Everything everything{key(1).peer_id(),
                              Digest{1},
                              swarm::RoundNumber(70'000),
                              {{"text", {1, 300, 70'000}}, {"", {}}},
                              Bytes(40, 7),
                              {{"a", 1}, {"b", 1ULL << 40}},
                              true,
                              1.5F,
                              -70'000};
  const swarm::Presence presence{"testudo/0.1", swarm::RoundNumber(300)};
  return {net::pack(everything),
          net::pack(std::vector<Bytes>{Bytes(3, 1), {}, Bytes(300, 2)}),
          net::pack(Request{static_cast<std::uint8_t>(Kind::chunk), swarm::RunId{7}, Digest{1}, 12, 16'384}),
          net::pack(HeadReply{0, 70'000, Digest{3}}),
          net::pack(CertificatesReply{0, {Bytes(10, 1), Bytes(5, 2)}}),
          net::pack(LeavesReply{0, 1'000'000, {Digest{1}, Digest{2}}}),
          net::pack(ChunkReply{0, Bytes(100, 5)}),
          presence.encode()};
}

const Registered target({"messages", run, seeds, 2});

}  // namespace
}  // namespace testudo::fuzz
