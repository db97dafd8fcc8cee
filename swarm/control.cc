#include "swarm/control.h"

#include <limits>

#include "net/messages/message.h"

namespace testudo::swarm {

namespace {

enum class Kind : std::uint8_t { broadcast = 1, vote = 2, certificate = 3, hello = 4 };

struct WireVote {
  Bytes outcome;
  PeerId signer;
  crypto::Signature signature{};
  MSGPACK_DEFINE_ARRAY(outcome, signer, signature)
};

constexpr std::int64_t not_begun = -1;

struct WireHello {
  std::uint64_t height = 0;
  bool application = false;
  bool client_mode = false;
  bool looking_on = false;
  std::int64_t begun_ms = not_begun;
  MSGPACK_DEFINE_ARRAY(height, application, client_mode, looking_on, begun_ms)
};

// One byte says what follows.
Bytes frame_of(Kind kind, ByteView body) {
  Bytes bytes;
  bytes.reserve(body.size() + 1);
  bytes.push_back(static_cast<std::uint8_t>(kind));
  append(bytes, body);
  return bytes;
}

}  // namespace

Bytes encode_control_broadcast(ByteView broadcast) { return frame_of(Kind::broadcast, broadcast); }

Bytes encode_control(const ControlFrame& frame) {
  if (const auto* broadcast = std::get_if<BroadcastFrame>(&frame))
    return encode_control_broadcast(encode(*broadcast));
  if (const auto* vote = std::get_if<VoteFrame>(&frame)) {
    return frame_of(Kind::vote,
                    net::pack(WireVote{vote->outcome.encode(), vote->vote.signer, vote->vote.signature}));
  }
  if (const auto* certificate = std::get_if<Certificate>(&frame)) {
    return frame_of(Kind::certificate, certificate->encode());
  }
  const auto& hello = std::get<HelloFrame>(frame);
  const std::int64_t begun_ms = hello.begun_ms ? std::int64_t{*hello.begun_ms} : not_begun;
  return frame_of(Kind::hello, net::pack(WireHello{hello.height, hello.application, hello.client_mode,
                                                   hello.looking_on, begun_ms}));
}

Result<ControlFrame> decode_control(ByteView bytes) {
  if (bytes.empty()) return fail(ErrorCode::protocol, "empty control frame");
  const ByteView body = bytes.subspan(1);
  switch (static_cast<Kind>(bytes[0])) {
    case Kind::broadcast: {
      TRY(BroadcastFrame frame, decode_broadcast_frame(body));
      return ControlFrame(std::move(frame));
    }
    case Kind::vote: {
      TRY(WireVote wire, net::unpack<WireVote>(body));
      VoteFrame frame;
      TRY(frame.outcome, Outcome::decode(wire.outcome));
      frame.vote = {wire.signer, wire.signature};
      return ControlFrame(std::move(frame));
    }
    case Kind::certificate: {
      TRY(Certificate certificate, Certificate::decode(body));
      return ControlFrame(std::move(certificate));
    }
    case Kind::hello: {
      TRY(WireHello wire, net::unpack<WireHello>(body));
      HelloFrame frame{wire.height, wire.application, wire.client_mode, wire.looking_on, std::nullopt};
      if (wire.begun_ms != not_begun) {
        if (wire.begun_ms < 0 || wire.begun_ms > std::numeric_limits<std::uint32_t>::max())
          return fail(ErrorCode::protocol, "a hello from before its attempt");
        frame.begun_ms = static_cast<std::uint32_t>(wire.begun_ms);
      }
      return ControlFrame(frame);
    }
  }
  return fail(ErrorCode::protocol, "unknown control frame " + std::to_string(bytes[0]));
}

}  // namespace testudo::swarm
