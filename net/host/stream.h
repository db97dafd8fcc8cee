// Stream: an ordered, authenticated, flow-controlled pair of byte pipes to one peer, opened for one
// protocol. Loop thread only; one reader and one writer at a time. Destroying it resets what is not closed.
#pragma once

#include <optional>
#include <string>

#include "crypto/base/bytes.h"
#include "crypto/base/result.h"
#include "crypto/peer_id.h"
#include "net/async/task.h"

namespace testudo::net {

using crypto::PeerId;

class Stream {
 public:
  virtual ~Stream() = default;
  virtual const PeerId& peer() const = 0;
  virtual const std::string& protocol() const = 0;

  // At least one byte into `out` (not empty), or 0 once the peer has closed its write side.
  virtual Task<Result<std::size_t>> read_some(MutableByteView out) = 0;
  // Done when all of `data` is handed over to a bounded send buffer: a slow reader slows its writer.
  // `data` must stay valid until then.
  virtual Task<Result<void>> write(ByteView data) = 0;
  // Half-closes: the peer reads 0 after everything written. Reading goes on.
  virtual void close_write() = 0;
  // Aborts both directions at once.
  virtual void reset() = 0;
};

// Fills `out` whole; an end of stream before that is an error.
Task<Result<void>> read_exactly(Stream& stream, MutableByteView out);
// One message behind an unsigned varint length, as libp2p frames them; longer than `max_size` is an error
// before anything is buffered. Nothing when the stream ended cleanly before the length.
Task<Result<std::optional<Bytes>>> read_prefixed(Stream& stream, std::size_t max_size);
Task<Result<void>> write_prefixed(Stream& stream, ByteView message);

}  // namespace testudo::net
