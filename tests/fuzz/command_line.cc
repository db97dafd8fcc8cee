// What users type: addresses to listen on, addresses of peers, run ids, names of codecs and rules.
#include "node/addresses.h"
#include "tests/fuzz/fuzz.h"
#include "training/aggregation/rule.h"
#include "training/codec/codec.h"

namespace testudo::fuzz {
namespace {

void run(ByteView input) {
  std::vector<std::string> words;
  std::string word;
  for (const char c : std::string(as_text(input)) + "\n") {
    if (c == '\n') {
      words.push_back(std::exchange(word, {}));
    } else {
      word += c;
    }
  }
  if (const auto addresses = node::parse_listen_addresses(words))
    TESTUDO_CHECK(addresses->size() == words.size());
  if (const auto peers = node::parse_peer_addresses(words)) {
    std::size_t count = 0;
    for (const auto& peer : *peers) count += peer.addresses.size();
    TESTUDO_CHECK(count == words.size());
  }
  for (const std::string& one : words) {
    if (const auto address = node::parse_listen_addresses({one})) TESTUDO_CHECK(address->size() == 1);
    (void)node::parse_peer_addresses({one});
    (void)node::parse_run_id(one);
    if (const auto codec = training::codec_from_name(one)) TESTUDO_CHECK(training::name(*codec) == one);
    if (const auto rule = training::make_rule(one)) TESTUDO_CHECK((*rule)->name() == one);
  }
}

std::vector<Bytes> seeds() {
  const std::string id = key(1).peer_id().to_text();
  return {to_bytes("/ip4/0.0.0.0/tcp/4040\n/ip6/::/tcp/0"),
          to_bytes("/ip4/192.0.2.1/tcp/4040/p2p/" + id + "\n/dns4/example.org/tcp/1/p2p/" + id),
          to_bytes(std::string(64, 'a')), to_bytes("int8\ncentered_clip\nmean\nnnm+bucketing:2+krum")};
}

const Registered target({"command_line", run, seeds});

}  // namespace
}  // namespace testudo::fuzz
