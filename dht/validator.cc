#include "dht/validator.h"

#include "crypto/base/encoding.h"
#include "crypto/hash.h"
#include "crypto/signing.h"
#include "net/messages/message.h"

namespace testudo::dht {

namespace {
constexpr std::string_view value_domain = "testudo dht value 1";
constexpr std::size_t max_name = 256;

std::uint64_t milliseconds(UnixTime time) {
  return static_cast<std::uint64_t>(time.time_since_epoch().count());
}

struct SignedPart {
  std::string key;
  std::uint64_t sequence = 0;
  std::uint64_t expires = 0;
  Bytes payload;
  MSGPACK_DEFINE(key, sequence, expires, payload)
};
struct StoredValue {
  std::uint64_t sequence = 0;
  std::uint64_t expires = 0;
  Bytes payload;
  crypto::Signature signature{};
  MSGPACK_DEFINE(sequence, expires, payload, signature)
};
}  // namespace

std::optional<Bytes> Validator::merge(std::string_view, ByteView, ByteView, UnixTime) { return std::nullopt; }

std::string ManifestValidator::key_of(ByteView value) {
  return std::string(prefix) + to_hex(crypto::blake2b(value));
}

Result<void> ManifestValidator::validate(std::string_view key, ByteView value, UnixTime) {
  if (!key.starts_with(prefix)) return fail(ErrorCode::invalid_argument, "not a manifest key");
  // Compared as text: else one value would live under as many keys as its digits can be upper or lower case.
  if (key != key_of(value)) {
    return fail(ErrorCode::authentication, "the value does not have the digest in its key");
  }
  return {};
}

std::size_t ManifestValidator::select(std::string_view, std::span<const Bytes>) { return 0; }

std::string OwnedValue::key_of(const crypto::PeerId& owner, std::string_view name) {
  return std::string(prefix) + owner.to_text() + "/" + std::string(name);
}

Bytes OwnedValue::make(const crypto::KeyPair& owner, std::string_view key, std::uint64_t sequence,
                       UnixTime expires, Bytes payload) {
  const SignedPart part{std::string(key), sequence, milliseconds(expires), payload};
  const auto signature = crypto::sign(owner, value_domain, net::pack(part));
  return net::pack(StoredValue{sequence, milliseconds(expires), std::move(payload), signature});
}

Result<OwnedValue> OwnedValue::open(std::string_view key, ByteView record, UnixTime now) {
  if (!key.starts_with(prefix)) return fail(ErrorCode::invalid_argument, "not a key of an owned value");
  const std::string_view rest = key.substr(prefix.size());
  const std::size_t slash = rest.find('/');
  if (slash == std::string_view::npos || rest.size() - slash - 1 > max_name) {
    return fail(ErrorCode::invalid_argument, "a key of an owned value is /testudo/value/<peer id>/NAME");
  }
  TRY(const crypto::PeerId owner, crypto::PeerId::from_text(rest.substr(0, slash)));
  // One text form per owner: else one value would live under several keys.
  if (owner.to_text() != rest.substr(0, slash)) return fail(ErrorCode::invalid_argument, "unusual peer id");
  TRY(StoredValue stored, net::unpack<StoredValue>(record));
  if (stored.expires <= milliseconds(now)) return fail(ErrorCode::refused, "the record has expired");
  const SignedPart part{std::string(key), stored.sequence, stored.expires, stored.payload};
  if (!crypto::verify(owner.key(), value_domain, net::pack(part), stored.signature)) {
    return fail(ErrorCode::authentication, "the owner did not sign the record");
  }
  OwnedValue value;
  value.sequence = stored.sequence;
  value.expires = UnixTime(std::chrono::milliseconds(std::min(stored.expires, far_future)));
  value.payload = std::move(stored.payload);
  return value;
}

Result<void> OwnedValueValidator::validate(std::string_view key, ByteView value, UnixTime now) {
  TRY(const OwnedValue opened, OwnedValue::open(key, value, now));
  (void)opened;
  return {};
}

std::size_t OwnedValueValidator::select(std::string_view, std::span<const Bytes> values) {
  std::size_t best = 0;
  std::optional<StoredValue> best_value;
  for (std::size_t i = 0; i < values.size(); ++i) {
    auto value = net::unpack<StoredValue>(values[i]);
    if (!value) continue;
    if (!best_value || value->sequence > best_value->sequence ||
        (value->sequence == best_value->sequence && values[i] > values[best])) {
      best = i;
      best_value = std::move(*value);
    }
  }
  return best;
}

}  // namespace testudo::dht
