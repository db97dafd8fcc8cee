// MuxedStream: a Yamux stream as the Stream of a protocol, with the negotiation of that protocol before its
// first byte. A dialler who knows that the peer speaks it need not wait for the answer: negotiation and
// first data then travel together, and a refusal shows at the first read. Loop thread only.
#pragma once

#include <memory>
#include <optional>

#include "net/async/event.h"
#include "net/host/stream.h"
#include "net/mux/yamux_stream.h"
#include "net/negotiation/multistream.h"

namespace testudo::net {

class MuxedStream final : public Stream, private YamuxStream::Listener {
 public:
  MuxedStream(Scheduler& scheduler, std::shared_ptr<YamuxStream> stream, PeerId peer,
              Multistream negotiation);
  ~MuxedStream() override;

  // Until the protocol is agreed on. Errors: not_found, protocol, and those of the stream.
  Task<Result<void>> negotiate();

  const PeerId& peer() const override { return peer_; }
  const std::string& protocol() const override { return negotiation_.protocol(); }
  Task<Result<std::size_t>> read_some(MutableByteView out) override;
  Task<Result<void>> write(ByteView data) override;
  void close_write() override;
  void reset() override { stream_->reset(); }

 private:
  void on_readable() override { readable_.pulse(); }
  void on_writable() override { writable_.pulse(); }
  Task<Result<std::size_t>> read_raw(MutableByteView out);
  Task<Result<void>> write_raw(ByteView data);
  Error error_of_stream() const;

  Scheduler& scheduler_;
  Event readable_;
  Event writable_;
  std::shared_ptr<YamuxStream> stream_;
  PeerId peer_;
  Multistream negotiation_;
  Bytes unsent_;  // of the negotiation
  std::optional<Error> refused_;
};

}  // namespace testudo::net
