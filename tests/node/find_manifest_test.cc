// A newcomer finds its run's manifest among holders that lie.
#include <doctest/doctest.h>

#include "dht/simulation/sim_dht_network.h"
#include "node/node.h"
#include "swarm/manifest_record.h"
#include "tests/swarm/testing.h"

namespace testudo::node {
namespace {

using namespace std::chrono_literals;
using net::Task;

// Answers every question with this record, and nobody nearer.
Task<void> serve(std::unique_ptr<net::Stream> stream, Bytes value) {
  auto request = co_await net::read_prefixed(*stream, dht::Message::max_size);
  if (!request || !request->has_value()) co_return;
  auto asked = dht::Message::decode(**request);
  if (!asked) co_return;
  dht::Message reply;
  reply.type = asked->type;
  reply.key = asked->key;
  reply.record = dht::Record{asked->key, std::move(value), {}};
  auto written = co_await net::write_prefixed(*stream, reply.encode());
  (void)written;
  stream->close_write();
}

void know_manifests(dht::Dht& node) {
  node.register_namespace(std::string(dht::ManifestValidator::prefix),
                          std::make_unique<swarm::SignedManifestValidator>());
}

// Everybody holds the manifest; then `liars` of the holders serve something else, the publisher is gone, and
// a newcomer enters through a holder that does not lie.
struct Town {
  static constexpr std::size_t holders = 20;
  std::vector<crypto::KeyPair> author = testing::make_keys(1);
  std::vector<crypto::KeyPair> stranger = testing::make_keys(1, 2);
  swarm::SignedManifest manifest = testing::make_signed_manifest(author);
  dht::SimDhtNetwork network{{.seed = 3}};
  std::vector<Bytes> lies;

  explicit Town(std::size_t liars) {
    const swarm::SignedManifest other = testing::make_signed_manifest(stranger);
    const swarm::SignedManifest forged = swarm::SignedManifest::sign(manifest.manifest, stranger[0]);
    Bytes damaged = manifest.encode();
    damaged[damaged.size() / 2] ^= 1;
    lies = {Bytes(300, 0xc1), Bytes(), other.encode(), forged.encode(), damaged};
    for (std::size_t i = 0; i <= holders; ++i) {
      know_manifests(network.add());
      REQUIRE(network.run(network.bootstrap(i)).value());
    }
    REQUIRE(network.run(publish_manifest(network.node(0), manifest)).value());
    for (std::size_t i = 1; i <= liars; ++i) {
      network.host(i).set_handler("/testudo/kad/1.0.0",
                                  [lie = lies[i % lies.size()]](std::unique_ptr<net::Stream> stream) {
                                    return serve(std::move(stream), lie);
                                  });
    }
    network.kill(0);
    know_manifests(network.add());
    REQUIRE(network.run(newcomer().bootstrap({network.host(holders).peer_address()})).value());
  }
  dht::Dht& newcomer() { return network.node(network.size() - 1); }
  Result<swarm::SignedManifest> find() {
    return network.run(find_manifest(network.scheduler(), newcomer(), manifest.manifest.run_id(), 1min))
        .value();
  }
};

TEST_CASE("holders that serve garbage, another run's manifest or a forged one do not hide a run's manifest") {
  Town town(Town::holders - 1);
  const auto found = town.find();
  REQUIRE_MESSAGE(found.has_value(), (found ? "" : found.error().message));
  CHECK(found->encode() == town.manifest.encode());
  CHECK(town.newcomer().misbehaviour().total() > 0);  // liars were asked first
}

TEST_CASE(
    "where nobody has a run's manifest any more, no lie is taken for it, and the error says what to check") {
  Town town(Town::holders - 1);
  town.network.host(Town::holders).remove_handler("/testudo/kad/1.0.0");
  const auto found = town.find();
  REQUIRE_FALSE(found.has_value());
  CHECK(found.error().code == ErrorCode::not_found);
  CHECK(town.newcomer().misbehaviour().total() > 0);
}

}  // namespace
}  // namespace testudo::node
