#include "dht/message.h"

#include <array>
#include <ctime>
#include <exception>
#include <protozero/pbf_reader.hpp>
#include <protozero/pbf_writer.hpp>

namespace testudo::dht {

namespace {
enum MessageField : protozero::pbf_tag_type {
  type_field = 1,
  key_field = 2,
  record_field = 3,
  closer_field = 8,
  providers_field = 9,
};
enum RecordField : protozero::pbf_tag_type { record_key = 1, record_value = 2, record_time = 5 };
enum PeerField : protozero::pbf_tag_type { peer_id = 1, peer_addresses = 2, peer_connection = 3 };
constexpr int can_connect = 2;

void add_bytes(protozero::pbf_writer& writer, protozero::pbf_tag_type tag, ByteView bytes) {
  writer.add_bytes(tag, reinterpret_cast<const char*>(bytes.data()), bytes.size());
}
ByteView view_of(protozero::data_view data) {
  return {reinterpret_cast<const std::uint8_t*>(data.data()), data.size()};
}

// protozero asserts that a field has the wire type it is read as; what a peer sends is looked at before.
bool is_bytes(const protozero::pbf_reader& reader, protozero::pbf_tag_type tag) {
  return reader.tag() == tag && reader.wire_type() == protozero::pbf_wire_type::length_delimited;
}

void add_peers(protozero::pbf_writer& writer, protozero::pbf_tag_type tag,
               const std::vector<PeerAddress>& peers) {
  for (const auto& peer : peers) {
    protozero::pbf_writer entry(writer, tag);
    add_bytes(entry, peer_id, peer.id.to_multihash());
    for (const auto& address : peer.addresses) add_bytes(entry, peer_addresses, address.to_bytes());
    entry.add_enum(peer_connection, can_connect);
  }
}

Result<void> read_peer(protozero::pbf_reader reader, std::vector<PeerAddress>& into) {
  if (into.size() >= Message::max_peers) return fail(ErrorCode::limit, "too many peers in one message");
  PeerAddress peer;
  bool known_kind = false;
  while (reader.next()) {
    if (is_bytes(reader, peer_id)) {
      auto id = crypto::PeerId::from_multihash(view_of(reader.get_view()));
      known_kind = id.has_value();
      if (id) peer.id = *id;
    } else if (is_bytes(reader, peer_addresses)) {
      const ByteView bytes = view_of(reader.get_view());
      if (peer.addresses.size() >= Message::max_addresses) continue;
      auto address = Multiaddr::from_bytes(bytes);
      if (!address) continue;
      // js-libp2p appends /p2p/<id> to some; nothing but that says who and not where.
      *address = address->without_peer_id();
      if (!address->empty()) peer.addresses.push_back(std::move(*address));
    } else {
      reader.skip();
    }
  }
  if (known_kind) into.push_back(std::move(peer));
  return {};
}

Result<Record> read_record(protozero::pbf_reader reader) {
  Record record;
  while (reader.next()) {
    if (is_bytes(reader, record_key)) {
      record.key = to_bytes(view_of(reader.get_view()));
    } else if (is_bytes(reader, record_value)) {
      record.value = to_bytes(view_of(reader.get_view()));
    } else {
      reader.skip();
    }
  }
  if (record.key.size() > Message::max_key || record.value.size() > Message::max_value) {
    return fail(ErrorCode::limit, "record too large");
  }
  return record;
}
}  // namespace

std::string rfc3339(std::chrono::sys_time<std::chrono::milliseconds> time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  const std::time_t whole = std::chrono::system_clock::to_time_t(seconds);
  std::tm parts{};
  gmtime_r(&whole, &parts);
  std::array<char, 32> date{};
  const std::size_t size = std::strftime(date.data(), date.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  const std::string fraction = std::to_string(1000 + (time - seconds).count()).substr(1);
  return std::string(date.data(), size) + "." + fraction + "000000Z";
}

Bytes Message::encode() const {
  std::string out;
  protozero::pbf_writer writer(out);
  writer.add_enum(type_field, static_cast<std::int32_t>(type));
  if (!key.empty()) add_bytes(writer, key_field, key);
  if (record) {
    protozero::pbf_writer entry(writer, record_field);
    add_bytes(entry, record_key, record->key);
    add_bytes(entry, record_value, record->value);
    if (!record->time_received.empty()) add_bytes(entry, record_time, as_bytes(record->time_received));
  }
  add_peers(writer, closer_field, closer);
  add_peers(writer, providers_field, providers);
  return to_bytes(std::string_view(out));
}

Result<Message> Message::decode(ByteView bytes) {
  if (bytes.size() > max_size) return fail(ErrorCode::limit, "DHT message too large");
  Message message;
  // proto3 leaves out a zero: no type means PUT_VALUE.
  message.type = MessageType::put_value;
  try {
    protozero::pbf_reader reader(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    while (reader.next()) {
      if (reader.tag() == type_field && reader.wire_type() == protozero::pbf_wire_type::varint) {
        const std::int32_t type = reader.get_enum();
        if (type < 0 || type > 5) return fail(ErrorCode::protocol, "unknown DHT message type");
        message.type = static_cast<MessageType>(type);
      } else if (is_bytes(reader, key_field)) {
        message.key = to_bytes(view_of(reader.get_view()));
        if (message.key.size() > max_key) return fail(ErrorCode::limit, "DHT key too long");
      } else if (is_bytes(reader, record_field)) {
        TRY(message.record, read_record(reader.get_message()));
      } else if (is_bytes(reader, closer_field)) {
        TRY_VOID(read_peer(reader.get_message(), message.closer));
      } else if (is_bytes(reader, providers_field)) {
        TRY_VOID(read_peer(reader.get_message(), message.providers));
      } else {
        reader.skip();
      }
    }
  } catch (const std::exception& error) {  // protozero's exceptions stop here
    return fail(ErrorCode::protocol, std::string("malformed DHT message: ") + error.what());
  }
  return message;
}

}  // namespace testudo::dht
