#include "net/security/noise_frames.h"

#include <cstring>

#include "crypto/base/check.h"

namespace testudo::net {

Result<void> FrameSealer::append_frame(Bytes& out, ByteView head, ByteView body) {
  const std::size_t plain = head.size() + body.size();
  TESTUDO_CHECK(plain <= kMaxFramePlain);
  const std::size_t sealed = plain + crypto::kNoiseTag;
  const std::size_t start = out.size();
  out.resize(start + 2 + sealed);
  std::uint8_t* frame = out.data() + start;
  frame[0] = static_cast<std::uint8_t>(sealed >> 8);
  frame[1] = static_cast<std::uint8_t>(sealed);
  if (!head.empty()) std::memcpy(frame + 2, head.data(), head.size());
  if (!body.empty()) std::memcpy(frame + 2 + head.size(), body.data(), body.size());
  return cipher_.encrypt({}, ByteView(frame + 2, plain), MutableByteView(frame + 2, sealed));
}

Result<std::optional<FrameOpener::Frame>> FrameOpener::open_frame(MutableByteView input) {
  if (input.size() < 2) return std::nullopt;
  const auto sealed = static_cast<std::size_t>(read_be(input.first(2)));
  if (sealed < crypto::kNoiseTag) {
    return fail(ErrorCode::protocol, "noise: a frame of " + std::to_string(sealed) + " bytes has no tag");
  }
  if (input.size() < 2 + sealed) return std::nullopt;
  const MutableByteView frame = input.subspan(2, sealed);
  const MutableByteView plain = frame.first(sealed - crypto::kNoiseTag);
  TRY_VOID(cipher_.decrypt({}, frame, plain));
  return Frame{plain, 2 + sealed};
}

}  // namespace testudo::net
