#include "crypto/envelope.h"

#include <optional>
#include <protozero/pbf_reader.hpp>
#include <protozero/pbf_writer.hpp>

#include "crypto/base/encoding.h"

namespace testudo::crypto {
namespace {

enum Field : std::uint32_t { kPublicKey = 1, kPayloadType = 2, kPayload = 3, kSignature = 5 };

void append_field(Bytes& out, ByteView field) {
  append_varint(out, field.size());
  append(out, field);
}

Bytes signed_bytes(std::string_view domain, ByteView payload_type, ByteView payload) {
  Bytes out;
  append_field(out, as_bytes(domain));
  append_field(out, payload_type);
  append_field(out, payload);
  return out;
}

struct Fields {
  std::optional<ByteView> public_key, payload_type, payload, signature;

  std::optional<ByteView>* find(std::uint32_t tag) {
    switch (tag) {
      case kPublicKey:
        return &public_key;
      case kPayloadType:
        return &payload_type;
      case kPayload:
        return &payload;
      case kSignature:
        return &signature;
      default:
        return nullptr;
    }
  }
};

Result<Fields> parse(ByteView encoded) {
  Fields fields;
  try {
    protozero::pbf_reader reader(reinterpret_cast<const char*>(encoded.data()), encoded.size());
    while (reader.next()) {
      std::optional<ByteView>* field = fields.find(reader.tag());
      if (field == nullptr) {
        reader.skip();
        continue;
      }
      // Asked before the value is read: protozero asserts on another wire type.
      if (reader.wire_type() != protozero::pbf_wire_type::length_delimited || field->has_value()) {
        return fail(ErrorCode::protocol,
                    "envelope: field " + std::to_string(reader.tag()) + " is repeated or has the wrong type");
      }
      const auto view = reader.get_view();
      *field = as_bytes(std::string_view(view.data(), view.size()));
    }
  } catch (const protozero::exception& error) {
    return fail(ErrorCode::protocol, std::string("envelope: ") + error.what());
  }
  return fields;
}

}  // namespace

Bytes seal_envelope(const KeyPair& key, std::string_view domain, ByteView payload_type, ByteView payload) {
  const Signature signature = key.sign(signed_bytes(domain, payload_type, payload));
  std::string out;
  protozero::pbf_writer writer(out);
  const auto add = [&writer](Field field, ByteView bytes) {
    const auto text = as_text(bytes);
    writer.add_bytes(field, text.data(), text.size());
  };
  add(kPublicKey, key.public_key().to_protobuf());
  add(kPayloadType, payload_type);
  add(kPayload, payload);
  add(kSignature, signature);
  return to_bytes(out);
}

Result<Envelope> open_envelope(ByteView encoded, std::string_view domain) {
  if (encoded.size() > kMaxEnvelope) {
    return fail(ErrorCode::limit, "envelope: " + std::to_string(encoded.size()) + " bytes");
  }
  TRY(const Fields fields, parse(encoded));
  if (!fields.public_key) return fail(ErrorCode::protocol, "envelope: no public key");
  auto signer = PublicKey::from_protobuf(*fields.public_key);
  if (!signer) return fail(std::move(signer).error().in("envelope"));
  Signature signature;
  if (!fields.signature || fields.signature->size() != signature.size()) {
    return fail(ErrorCode::protocol, "envelope: no signature of 64 bytes");
  }
  std::ranges::copy(*fields.signature, signature.begin());
  // An encoder may leave out an empty field.
  const ByteView payload_type = fields.payload_type.value_or(ByteView{});
  const ByteView payload = fields.payload.value_or(ByteView{});
  if (!signer->verify(signed_bytes(domain, payload_type, payload), signature)) {
    return fail(ErrorCode::authentication, "envelope: the signature of " + PeerId(*signer).to_text() +
                                               " does not hold for " + std::string(domain));
  }
  return Envelope{*signer, to_bytes(payload_type), to_bytes(payload)};
}

}  // namespace testudo::crypto
