#include "net/services/identify.h"

#include <algorithm>
#include <array>
#include <set>

#include "crypto/envelope.h"
#include "net/async/combinators.h"
#include "net/wire/protobuf.h"

namespace testudo::net {
namespace {

enum Tag : std::uint32_t {
  kPublicKey = 1,
  kListenAddress = 2,
  kProtocol = 3,
  kObservedAddress = 4,
  kProtocolVersion = 5,
  kAgentVersion = 6,
  kSignedPeerRecord = 8,
};
enum RecordTag : std::uint32_t {
  kRecordPeer = 1,
  kRecordSequence = 2,
  kRecordAddress = 3,
  kRecordMultiaddr = 1
};

constexpr std::string_view kRecordDomain = "libp2p-peer-record";
constexpr std::array<std::uint8_t, 2> kRecordType{0x03, 0x01};
constexpr const char* kProtocolVersionText = "testudo/1";
constexpr Duration kDeadline = 10s;
constexpr std::size_t kMaxFields = 1024;
constexpr std::size_t kMaxText = 256;      // of one protocol name or version
constexpr std::size_t kMaxAnnounced = 16;  // addresses: two of them in one message, listed and signed

void parse_address(ByteView bytes, std::vector<Multiaddr>& out) {
  if (out.size() >= PeerStore::max_addresses_per_peer) return;
  auto address = Multiaddr::from_bytes(bytes);
  if (address) out.push_back(*std::move(address));  // one of another kind is not worth the whole message
}

struct Record {
  std::uint64_t sequence = 0;
  std::vector<Multiaddr> addresses;
};

Result<Record> open_record(ByteView sealed, const PeerId& from) {
  TRY(const auto envelope, crypto::open_envelope(sealed, kRecordDomain));
  if (!equal(envelope.payload_type, kRecordType)) {
    return fail(ErrorCode::protocol, "peer record: the envelope holds something else");
  }
  if (PeerId(envelope.signer) != from) {
    return fail(ErrorCode::authentication, "peer record: signed by " + PeerId(envelope.signer).to_text());
  }
  Record record;
  bool named = false;
  TRY_VOID(read_protobuf(
      envelope.payload, "peer record", kMaxFields, [&](const ProtobufField& field) -> Result<void> {
        if (field.tag == kRecordSequence && !field.is_bytes) record.sequence = field.number;
        if (!field.is_bytes) return {};
        if (field.tag == kRecordPeer) {
          if (!equal(field.bytes, from.to_multihash())) {
            return fail(ErrorCode::authentication, "peer record: it is about someone else than its signer");
          }
          named = true;
        }
        if (field.tag != kRecordAddress) return {};
        return read_protobuf(field.bytes, "peer record address", 8,
                             [&](const ProtobufField& entry) -> Result<void> {
                               if (entry.is_bytes && entry.tag == kRecordMultiaddr)
                                 parse_address(entry.bytes, record.addresses);
                               return {};
                             });
      }));
  if (!named) return fail(ErrorCode::protocol, "peer record: it names no peer");
  return record;
}

Task<Result<IdentifyInfo>> read_info(Stream& stream) {
  auto message = co_await read_prefixed(stream, kMaxIdentify);
  if (!message) co_return fail(std::move(message).error());
  if (!*message) co_return fail(ErrorCode::protocol, "the stream ended without a message");
  auto info = decode_identify(**message, stream.peer());
  co_return info;
}

// Reads until the peer closes, so that its end is not met by a reset.
Task<Result<void>> read_to_end(Stream& stream) {
  std::array<std::uint8_t, 256> rest{};
  for (std::size_t total = 0; total <= kMaxIdentify;) {
    auto read = co_await stream.read_some(rest);
    if (!read) co_return fail(std::move(read).error());
    if (*read == 0) co_return Result<void>{};
    total += *read;
  }
  co_return fail(ErrorCode::limit, "identify: a second message without end");
}

}  // namespace

Bytes encode_identify(const Host& host, const std::string& agent, std::uint64_t sequence,
                      const std::optional<Multiaddr>& observed) {
  std::vector<Multiaddr> addresses = host.addresses();
  addresses.resize(std::min(addresses.size(), kMaxAnnounced));
  Bytes record;
  append_protobuf(record, kRecordPeer, host.id().to_multihash());
  append_protobuf(record, kRecordSequence, sequence);
  for (const auto& address : addresses) {
    Bytes entry;
    append_protobuf(entry, kRecordMultiaddr, address.to_bytes());
    append_protobuf(record, kRecordAddress, entry);
  }
  Bytes message;
  append_protobuf(message, kPublicKey, host.identity().public_key().to_protobuf());
  for (const auto& address : addresses) append_protobuf(message, kListenAddress, address.to_bytes());
  if (observed) append_protobuf(message, kObservedAddress, observed->to_bytes());
  append_protobuf(message, kProtocolVersion, std::string_view(kProtocolVersionText));
  append_protobuf(message, kAgentVersion, std::string_view(agent));
  append_protobuf(message, kSignedPeerRecord,
                  crypto::seal_envelope(host.identity(), kRecordDomain, kRecordType, record));
  for (const auto& protocol : host.protocols()) {
    if (message.size() + protocol.size() + 8 > kMaxIdentify) break;  // others would refuse the whole message
    append_protobuf(message, kProtocol, std::string_view(protocol));
  }
  return message;
}

Result<IdentifyInfo> decode_identify(ByteView encoded, const PeerId& from) {
  IdentifyInfo info;
  std::optional<Record> record;
  const auto text = [](ByteView bytes) {
    return std::string(as_text(bytes.first(std::min(bytes.size(), kMaxText))));
  };
  TRY_VOID(read_protobuf(encoded, "identify", kMaxFields, [&](const ProtobufField& field) -> Result<void> {
    if (!field.is_bytes) return {};
    switch (field.tag) {
      case kPublicKey: {
        const auto key = crypto::PublicKey::from_protobuf(field.bytes);
        if (!key || PeerId(*key) != from) {
          return fail(ErrorCode::authentication, "identify: the public key is not that of " + from.to_text());
        }
        return {};
      }
      case kListenAddress:
        parse_address(field.bytes, info.addresses);
        return {};
      case kProtocol:
        if (info.protocols.size() < PeerStore::max_protocols_per_peer && field.bytes.size() <= kMaxText) {
          info.protocols.push_back(text(field.bytes));
        }
        return {};
      case kObservedAddress:
        if (auto address = Multiaddr::from_bytes(field.bytes)) info.observed = address->without_peer_id();
        return {};
      case kProtocolVersion:
        info.protocol_version = text(field.bytes);
        return {};
      case kAgentVersion:
        info.agent = text(field.bytes);
        return {};
      case kSignedPeerRecord: {
        if (field.bytes.empty()) return {};
        TRY(record, open_record(field.bytes, from));
        return {};
      }
      default:
        return {};
    }
  }));
  if (record) {
    info.addresses = std::move(record->addresses);
    info.sequence = record->sequence;
  }
  return info;
}

Task<Result<IdentifyInfo>> identify(Host& host, PeerId peer) {
  const std::string who = "identify " + peer.to_text();
  auto stream = co_await host.open_stream(peer, kIdentifyProtocol);
  if (!stream) co_return fail(std::move(stream).error().in(who));
  (*stream)->close_write();
  auto info = co_await with_timeout(host.scheduler(), kDeadline, read_info(**stream), "the answer");
  if (!info) co_return fail(std::move(info).error().in(who));
  co_return info;
}

IdentifyService::IdentifyService(Host& host, std::string agent)
    : host_(host), agent_(std::move(agent)), tasks_(host.scheduler()) {
  host.set_handler(kIdentifyProtocol,
                   [this](std::unique_ptr<Stream> stream) { return answer(std::move(stream)); });
  host.set_handler(kIdentifyPushProtocol,
                   [this](std::unique_ptr<Stream> stream) { return take_push(std::move(stream)); });
  host.observe_connections([this, alive = std::weak_ptr(alive_)](const PeerId& peer, bool connected) {
    if (alive.expired()) return;
    if (connected) {
      tasks_.spawn(ask(peer));
    } else {
      observed_.erase(peer);
      sequences_.erase(peer);
    }
  });
}

IdentifyService::~IdentifyService() {
  host_.remove_handler(kIdentifyProtocol);
  host_.remove_handler(kIdentifyPushProtocol);
}

Bytes IdentifyService::message_for(const PeerId& peer) const {
  const auto sequence = static_cast<std::uint64_t>(host_.scheduler().unix_now().time_since_epoch().count());
  return encode_identify(host_, agent_, sequence, host_.remote_address(peer));
}

Task<void> IdentifyService::answer(std::unique_ptr<Stream> stream) {
  const Bytes message = message_for(stream->peer());
  auto written =
      co_await with_timeout(host_.scheduler(), kDeadline, write_prefixed(*stream, message), "identify");
  if (written) stream->close_write();
}

Task<void> IdentifyService::take_push(std::unique_ptr<Stream> stream) {
  Scheduler& scheduler = host_.scheduler();
  auto info = co_await with_timeout(scheduler, kDeadline, read_info(*stream), "identify push");
  if (!info) co_return;
  stream->close_write();
  learn(stream->peer(), *std::move(info));
  auto ended = co_await with_timeout(scheduler, kDeadline, read_to_end(*stream), "identify push");
  if (!ended) stream->reset();
}

Task<void> IdentifyService::ask(PeerId peer) {
  if (!host_.is_connected(peer)) co_return;
  auto info = co_await identify(host_, peer);
  if (info && host_.is_connected(peer)) learn(peer, *std::move(info));
}

void IdentifyService::learn(const PeerId& peer, IdentifyInfo info) {
  if (info.sequence) {
    auto& latest = sequences_[peer];
    if (*info.sequence <= latest) info.addresses.clear();  // an older record than the one we have
    latest = std::max(latest, *info.sequence);
  }
  PeerStore& store = host_.peer_store();
  store.add_addresses(peer, info.addresses, PeerStore::Source::identify);
  if (!info.protocols.empty()) {
    store.set_protocols(peer, std::set<std::string>(info.protocols.begin(), info.protocols.end()));
  }
  if (!info.agent.empty()) store.set_agent(peer, std::move(info.agent));
  if (info.observed) observed_.insert_or_assign(peer, *info.observed);
  host_.notify_identified(peer);
}

void IdentifyService::push() {
  for (const PeerId& peer : host_.connected_peers()) {
    if (host_.peer_store().speaks(peer, kIdentifyPushProtocol)) tasks_.spawn(push_to(peer));
  }
}

Task<void> IdentifyService::push_to(PeerId peer) {
  auto stream = co_await host_.open_stream(peer, kIdentifyPushProtocol);
  if (!stream) co_return;
  const Bytes message = message_for(peer);
  auto written =
      co_await with_timeout(host_.scheduler(), kDeadline, write_prefixed(**stream, message), "identify");
  if (written) (*stream)->close_write();
}

std::optional<Multiaddr> IdentifyService::observed_address() const {
  std::map<Multiaddr, std::size_t> votes;
  for (const auto& [peer, address] : observed_) ++votes[address];
  const auto most = std::ranges::max_element(votes, {}, [](const auto& entry) { return entry.second; });
  if (most == votes.end()) return std::nullopt;
  return most->first;
}

}  // namespace testudo::net
