// protobuf fields, and identify messages with their signed records.
#include "net/services/identify.h"

#include "net/sim/sim_network.h"
#include "net/wire/protobuf.h"
#include "tests/fuzz/fuzz.h"

namespace testudo::fuzz {
namespace {

constexpr std::size_t max_fields = 64;

void run(ByteView input) {
  const auto info = net::decode_identify(input, key(1).peer_id());
  if (info) {
    std::size_t bytes = info->agent.size() + info->protocol_version.size();
    for (const auto& protocol : info->protocols) bytes += protocol.size();
    TESTUDO_CHECK(bytes <= input.size() && info->addresses.size() <= input.size());
  }

  std::size_t fields = 0;
  Bytes again;
  const auto visited = net::read_protobuf(input, "fuzz", max_fields, [&](const net::ProtobufField& field) {
    ++fields;
    if (field.is_bytes) {
      // Views never leave the input.
      TESTUDO_CHECK(field.bytes.empty() ||
                    (field.bytes.data() >= input.data() &&
                     field.bytes.data() + field.bytes.size() <= input.data() + input.size()));
      net::append_protobuf(again, field.tag, field.bytes);
    } else {
      net::append_protobuf(again, field.tag, field.number);
    }
    return Result<void>{};
  });
  TESTUDO_CHECK(fields <= max_fields);
  if (!visited) return;
  // What was read and is written again reads the same.
  Bytes third;
  const auto reread = net::read_protobuf(again, "fuzz", max_fields, [&](const net::ProtobufField& field) {
    if (field.is_bytes) {
      net::append_protobuf(third, field.tag, field.bytes);
    } else {
      net::append_protobuf(third, field.tag, field.number);
    }
    return Result<void>{};
  });
  TESTUDO_CHECK(reread && third == again);
}

std::vector<Bytes> seeds() {
  net::SimScheduler scheduler;
  net::SimNetwork network(scheduler, {});
  net::SimHost& host = network.add_host({}, key(1));
  const auto observed = *net::Multiaddr::from_text("/ip4/192.0.2.1/tcp/4001");
  return {net::encode_identify(host, "testudo/fuzz", 7, observed),
          net::encode_identify(host, "", 0, std::nullopt)};
}

const Registered target({"identify", run, seeds, 4});

}  // namespace
}  // namespace testudo::fuzz
