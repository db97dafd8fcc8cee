// RawPeer: one connection of an attacker: a blocking socket that says what it is told, with our own Noise so
// that it gets as far into a node as it likes. Everything it does has a time limit; being thrown out closes
// it and is no error, for attackers expect that. One thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "crypto/peer_id.h"
#include "net/security/upgrade.h"

namespace testudo::attack {

struct Target {
  std::string ip;
  std::uint16_t port = 0;
  // Where attackers come from, in turn; empty: wherever the system says.
  std::vector<std::string> sources;
};

class RawPeer {
 public:
  static constexpr std::uint16_t syn = 1, ack = 2, fin = 4, rst = 8;
  enum Type : std::uint8_t { data = 0, window_update = 1, ping = 2, go_away = 3 };

  // A fresh identity each, from the source that `number` chooses. With `muxer` off it offers no muxer in
  // Noise, so that one more negotiation follows.
  RawPeer(const Target& target, std::size_t number, bool muxer = true);
  RawPeer(const RawPeer&) = delete;
  RawPeer& operator=(const RawPeer&) = delete;
  ~RawPeer() { close(); }

  bool is_open() const { return descriptor_ >= 0; }
  const crypto::KeyPair& identity() const { return identity_; }
  void close();
  void say(ByteView bytes);
  // Drops what has come, and notices when the node hung up.
  void drain();

  // What a dialler says first: multistream, and the first message of Noise once the node agreed.
  Bytes opening() { return upgrade_.take_output(); }
  // Says the opening, waits for the node's message of Noise and returns our third, unsaid.
  Bytes third_message();
  // The whole handshake; false when the node hung up.
  bool join();

  // REQUIRES for these: join() succeeded. They do nothing on a closed connection.
  void say_sealed(ByteView plain);
  void frame(Type type, std::uint16_t flags, std::uint32_t stream, std::uint32_t length) {
    say_sealed(header(type, flags, stream, length));
  }
  // Opens stream `id`, proposes the protocol and says `more` behind it.
  void open(std::uint32_t id, const std::string& protocol, ByteView more = {}, std::uint16_t flags = syn);

  static Bytes header(Type type, std::uint16_t flags, std::uint32_t stream, std::uint32_t length);

 private:
  // Feeds the handshake with what has come; false when nothing came in time or the node hung up.
  bool hear();

  int descriptor_ = -1;
  crypto::KeyPair identity_;
  net::Upgrade upgrade_;
  Bytes heard_;
  std::optional<net::FrameSealer> sealer_;
};

}  // namespace testudo::attack
