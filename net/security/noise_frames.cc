#include "net/security/noise_frames.h"

#include "crypto/base/check.h"

namespace testudo::net {

Result<void> FrameSealer::seal_frame(MutableByteView out, ByteView head, ByteView body) {
  const std::size_t plain = head.size() + body.size();
  TESTUDO_CHECK(plain <= kMaxFramePlain && out.size() == frame_size(plain));
  const std::size_t sealed = plain + crypto::kNoiseTag;
  out[0] = static_cast<std::uint8_t>(sealed >> 8);
  out[1] = static_cast<std::uint8_t>(sealed);
  return cipher_.encrypt({}, head, body, out.subspan(2));
}

Result<void> FrameSealer::append_frame(Bytes& out, ByteView head, ByteView body) {
  const std::size_t start = out.size();
  out.resize(start + frame_size(head.size() + body.size()));
  return seal_frame(MutableByteView(out).subspan(start), head, body);
}

Result<std::optional<FrameOpener::Sealed>> FrameOpener::find_frame(MutableByteView input) {
  if (input.size() < 2) return std::nullopt;
  const auto sealed = static_cast<std::size_t>(read_be(input.first(2)));
  if (sealed < crypto::kNoiseTag) {
    return fail(ErrorCode::protocol, "noise: a frame of " + std::to_string(sealed) + " bytes has no tag");
  }
  if (input.size() < 2 + sealed) return std::nullopt;
  return Sealed{input.subspan(2, sealed), 2 + sealed};
}

Result<ByteView> FrameOpener::open_head(const Sealed& frame, std::size_t size) {
  TESTUDO_CHECK(size <= frame.plain_size());
  const MutableByteView head = frame.message.first(size);
  TRY_VOID(cipher_.decrypt_head({}, head, head));
  return head;
}

Result<ByteView> FrameOpener::open_rest(const Sealed& frame, std::size_t head, MutableByteView target) {
  TESTUDO_CHECK(head + target.size() <= frame.plain_size());
  cipher_.decrypt_more(frame.message.subspan(head, target.size()), target);
  const MutableByteView rest = frame.message.subspan(head + target.size());
  const MutableByteView plain = rest.first(rest.size() - crypto::kNoiseTag);
  auto opened = cipher_.decrypt_rest(rest, plain);
  if (!opened) {
    std::ranges::fill(target, std::uint8_t{0});
    return fail(std::move(opened).error());
  }
  return plain;
}

Result<std::optional<FrameOpener::Frame>> FrameOpener::open_frame(MutableByteView input) {
  TRY(const auto sealed, find_frame(input));
  if (!sealed) return std::nullopt;
  TRY_VOID(open_head(*sealed, 0));
  TRY(const ByteView plain, open_rest(*sealed, 0, {}));
  return Frame{plain, sealed->consumed};
}

}  // namespace testudo::net
