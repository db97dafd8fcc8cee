#include "net/security/noise_handshake.h"

#include "crypto/base/check.h"
#include "net/wire/protobuf.h"

namespace testudo::net {
namespace {

constexpr std::string_view kSignatureDomain = "noise-libp2p-static-key:";
enum Tag : std::uint32_t { kIdentityKey = 1, kIdentitySignature = 2, kExtensions = 4, kStreamMuxers = 2 };

Bytes signed_bytes(const crypto::DhPublicKey& static_key) {
  Bytes out = to_bytes(kSignatureDomain);
  append(out, static_key);
  return out;
}

crypto::DhKeyPair fresh_static_key() {
  crypto::SystemRng rng;  // a key that protects a connection is never drawn from a seed
  return crypto::DhKeyPair::generate(rng);
}

}  // namespace

NoiseIdentity::NoiseIdentity(const crypto::KeyPair& identity) : static_keys_(fresh_static_key()) {
  append_protobuf(proof_, kIdentityKey, identity.public_key().to_protobuf());
  append_protobuf(proof_, kIdentitySignature, identity.sign(signed_bytes(static_keys_.public_key())));
}

Bytes NoiseIdentity::payload(const std::vector<std::string>& muxers) const {
  Bytes payload = proof_;
  if (!muxers.empty()) {
    Bytes extensions;
    for (const auto& muxer : muxers) append_protobuf(extensions, kStreamMuxers, std::string_view(muxer));
    append_protobuf(payload, kExtensions, extensions);
  }
  return payload;
}

NoiseHandshake::NoiseHandshake(crypto::NoiseRole role, const NoiseIdentity& identity,
                               std::optional<crypto::PeerId> expected, const std::vector<std::string>& muxers)
    : role_(role),
      noise_(role, identity.static_keys().clone(), {}),
      payload_(identity.payload(muxers)),
      expected_(std::move(expected)) {
  if (role_ == crypto::NoiseRole::initiator) {
    const auto written = write();
    TESTUDO_CHECK(written.has_value());
  }
}

Result<void> NoiseHandshake::write() {
  // The first message travels in the clear: it says nothing.
  TRY(const Bytes message, noise_.write_message(messages_ == 0 ? ByteView{} : ByteView(payload_)));
  append_be(output_, message.size(), 2);
  append(output_, message);
  ++messages_;
  return {};
}

Result<std::size_t> NoiseHandshake::receive(ByteView bytes) {
  std::size_t taken = 0;
  while (!done() && bytes.size() - taken >= 2) {
    const auto size = static_cast<std::size_t>(read_be(bytes.subspan(taken, 2)));
    if (size > max_message) {
      return fail(ErrorCode::protocol, "noise: a handshake message of " + std::to_string(size) + " bytes");
    }
    if (bytes.size() - taken < 2 + size) break;
    TRY_VOID(on_message(bytes.subspan(taken + 2, size)));
    taken += 2 + size;
  }
  return taken;
}

Result<void> NoiseHandshake::on_message(ByteView message) {
  if (noise_.our_turn()) return fail(ErrorCode::protocol, "noise: a handshake message out of turn");
  auto payload = noise_.read_message(message);
  if (!payload) return fail(std::move(payload).error().in("noise"));
  if (messages_++ > 0) {
    TRY_VOID(on_payload(*payload));
  }
  if (!done()) {
    TRY_VOID(write());
  }
  return {};
}

Result<void> NoiseHandshake::on_payload(ByteView payload) {
  std::optional<ByteView> key_bytes, signature_bytes;
  std::optional<std::vector<std::string>> muxers;
  TRY_VOID(read_protobuf(payload, "noise payload", 64, [&](const ProtobufField& field) -> Result<void> {
    if (!field.is_bytes) return {};
    if (field.tag == kIdentityKey) key_bytes = field.bytes;
    if (field.tag == kIdentitySignature) signature_bytes = field.bytes;
    if (field.tag != kExtensions) return {};
    return read_protobuf(field.bytes, "noise extensions", 64,
                         [&](const ProtobufField& entry) -> Result<void> {
                           if (!entry.is_bytes || entry.tag != kStreamMuxers) return {};
                           if (!muxers) muxers.emplace();
                           if (muxers->size() < max_muxers) muxers->emplace_back(as_text(entry.bytes));
                           return {};
                         });
  }));
  if (!key_bytes) return fail(ErrorCode::protocol, "noise: the payload names no identity key");
  auto key = crypto::PublicKey::from_protobuf(*key_bytes);
  if (!key) return fail(std::move(key).error().in("noise: identity key"));
  const crypto::PeerId id(*key);
  crypto::Signature signature{};
  if (!signature_bytes || signature_bytes->size() != signature.size()) {
    return fail(ErrorCode::authentication, "noise: " + id.to_text() + " sent no signature of 64 bytes");
  }
  std::ranges::copy(*signature_bytes, signature.begin());
  if (!key->verify(signed_bytes(*noise_.remote_static()), signature)) {
    return fail(ErrorCode::authentication,
                "noise: someone claims to be " + id.to_text() + " without the signature of its key");
  }
  if (expected_ && *expected_ != id) {
    return fail(ErrorCode::authentication,
                "dialled " + expected_->to_text() + ", but " + id.to_text() + " answered");
  }
  peer_ = id;
  peer_muxers_ = std::move(muxers);
  return {};
}

}  // namespace testudo::net
