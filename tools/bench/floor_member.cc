// The floor of a round: what the bytes themselves cost. Every process encodes, seals and sends each part to
// its reducer over plain sockets, opens, decodes and adds what comes, and sends the mean back the same way: a
// butterfly all-reduce with the codec and the cipher of a real round and nothing else: no hashes, no
// agreement, no flow control, no protection from anybody. The worker "floor-member".
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <thread>

#include "crypto/aead.h"
#include "crypto/hash.h"
#include "tools/bench/measure.h"
#include "tools/bench/round_roles.h"
#include "tools/bench/shared_group.h"
#include "tools/bench/sockets.h"
#include "training/codec/codec.h"

namespace testudo::bench {
namespace {

using training::CodecKind;

constexpr std::chrono::seconds group_limit{120};
// Values of one frame: 64 KiB on the wire at int8.
constexpr std::size_t chunk = 16 * training::int8_block;
constexpr float g_max = 1e6F;

struct Range {
  std::size_t begin = 0;
  std::size_t size = 0;
  std::size_t chunk_size(std::size_t i) const { return std::min(chunk, size - i * chunk); }
  std::size_t chunks() const { return (size + chunk - 1) / chunk; }
};

// One connection to one other process.
struct Peer {
  explicit Peer(Socket connected)
      : socket(std::move(connected)),
        sealer(crypto::sha256(as_bytes("benchmark"))),
        opener(crypto::sha256(as_bytes("benchmark"))) {}
  Socket socket;
  crypto::Aead sealer, opener;
  std::uint64_t sent = 0, received = 0;
  Bytes buffer;            // of the frame that arrives
  std::size_t filled = 0;  // of it
  std::size_t next = 0;    // chunk of the part that arrives
  bool results = false;    // whether it is of the reduced part already
  bool done = false;
};

class FloorMember {
 public:
  FloorMember(std::size_t index, std::size_t count, std::size_t values, CodecKind codec)
      : index_(index), codec_(codec), input_(values), output_(values) {
    // Cut between blocks of the codec, as a round cuts them.
    constexpr std::size_t block = training::int8_block;
    const std::size_t blocks = (values + block - 1) / block;
    for (std::size_t j = 0; j < count; ++j) {
      const std::size_t begin = std::min(values, blocks * j / count * block);
      const std::size_t end = std::min(values, blocks * (j + 1) / count * block);
      ranges_.push_back({begin, end - begin});
    }
    for (std::size_t i = 0; i < values; ++i) {
      input_[i] = static_cast<float>((i * 7 + index) % 1024) / 1024.0F - 0.5F;
    }
    peers_.resize(count);
  }

  Result<void> connect(SharedGroup& group) {
    TRY(Listener listener, Listener::open());
    group.set_port(index_, listener.port());
    TRY_VOID(group.wait_for_all(group_limit));
    for (std::size_t j = 0; j < index_; ++j) {
      TRY(Socket socket, Socket::connect(group.port(j)));
      const auto self = static_cast<std::uint8_t>(index_);
      TRY_VOID(socket.write_all(ByteView(&self, 1)));
      peers_[j] = std::make_unique<Peer>(std::move(socket));
    }
    for (std::size_t j = index_ + 1; j < peers_.size(); ++j) {
      TRY(Socket socket, listener.accept());
      std::uint8_t other = 0;
      TRY_VOID(socket.read_all(MutableByteView(&other, 1)));
      peers_.at(other) = std::make_unique<Peer>(std::move(socket));
    }
    return {};
  }

  Result<void> reduce() {
    reduced_ = false;
    Result<void> sent;
    std::jthread sender([this, &sent] { sent = send_all(); });
    auto received = receive_all();
    if (!received) {  // the sender must not wait for a part that does not come
      for (const auto& peer : peers_) {
        if (peer) ::shutdown(peer->socket.descriptor(), SHUT_RDWR);
      }
      reduced_ = true;
      reduced_.notify_all();
      return received;
    }
    sender.join();
    return sent;
  }

  // Whether the sum is the right one, within what the codec may lose twice.
  bool is_right() const {
    for (std::size_t i = 0; i < output_.size(); i += 997) {
      float expected = 0;
      for (std::size_t member = 0; member < peers_.size(); ++member) {
        expected += static_cast<float>((i * 7 + member) % 1024) / 1024.0F - 0.5F;
      }
      expected /= static_cast<float>(peers_.size());
      if (std::abs(output_[i] - expected) > 0.02F) return false;
    }
    return true;
  }

 private:
  const Range& own() const { return ranges_[index_]; }

  Result<void> send_chunk(Peer& peer, std::span<const float> values) {
    Bytes frame(encoded_size(codec_, values.size()) + crypto::Aead::kTagSize);
    const MutableByteView plain = MutableByteView(frame).first(frame.size() - crypto::Aead::kTagSize);
    TRY_VOID(encode_into(codec_, values, plain));
    peer.sealer.seal(peer.sent++, {}, plain, frame);
    return peer.socket.write_all(frame);
  }

  Result<void> send_all() {
    const std::size_t count = peers_.size();
    for (std::size_t step = 1; step < count; ++step) {
      const std::size_t j = (index_ + step) % count;
      for (std::size_t i = 0; i < ranges_[j].chunks(); ++i) {
        TRY_VOID(send_chunk(
            *peers_[j], std::span(input_).subspan(ranges_[j].begin + i * chunk, ranges_[j].chunk_size(i))));
      }
    }
    reduced_.wait(false);
    // Encoded once for all of them.
    for (std::size_t i = 0; i < own().chunks(); ++i) {
      const auto values = std::span(output_).subspan(own().begin + i * chunk, own().chunk_size(i));
      TRY(const Bytes plain, encode(codec_, values));
      Bytes frame(plain.size() + crypto::Aead::kTagSize);
      for (std::size_t step = 1; step < count; ++step) {
        Peer& peer = *peers_[(index_ + step) % count];
        peer.sealer.seal(peer.sent++, {}, plain, frame);
        TRY_VOID(peer.socket.write_all(frame));
      }
    }
    return {};
  }

  Result<void> receive_all() {
    const auto mine = std::span(output_).subspan(own().begin, own().size);
    std::ranges::copy(std::span(input_).subspan(own().begin, own().size), mine.begin());
    std::size_t contributions = peers_.size() - 1;
    std::size_t results = contributions;
    for (std::size_t j = 0; j < peers_.size(); ++j) {
      if (!peers_[j]) continue;
      peers_[j]->results = peers_[j]->done = false;
      expect(j, 0);
    }
    std::vector<pollfd> waiting;
    std::vector<std::size_t> who;
    while (results > 0) {
      waiting.clear();
      who.clear();
      for (std::size_t j = 0; j < peers_.size(); ++j) {
        if (!peers_[j] || peers_[j]->done) continue;
        waiting.push_back({peers_[j]->socket.descriptor(), POLLIN, 0});
        who.push_back(j);
      }
      if (::poll(waiting.data(), waiting.size(), -1) < 0 && errno != EINTR) {
        return fail(ErrorCode::io, std::string("floor: poll: ") + std::strerror(errno));
      }
      for (std::size_t k = 0; k < waiting.size(); ++k) {
        if (waiting[k].revents == 0) continue;
        const bool was_result = peers_[who[k]]->results;
        TRY(const bool part_done, receive_some(who[k]));
        if (!part_done) continue;
        if (was_result) {
          --results;
        } else if (--contributions == 0) {
          const float scale = 1.0F / static_cast<float>(peers_.size());
          for (float& value : mine) value *= scale;
          reduced_ = true;
          reduced_.notify_all();
        }
      }
    }
    return {};
  }

  const Range& incoming(std::size_t from) const { return peers_[from]->results ? ranges_[from] : own(); }

  void expect(std::size_t from, std::size_t next) {
    Peer& peer = *peers_[from];
    peer.next = next;
    peer.filled = 0;
    peer.buffer.resize(encoded_size(codec_, incoming(from).chunk_size(next)) + crypto::Aead::kTagSize);
  }

  // True when the part that this peer sends is complete.
  Result<bool> receive_some(std::size_t from) {
    Peer& peer = *peers_[from];
    TRY(const std::size_t size, peer.socket.read_some(MutableByteView(peer.buffer).subspan(peer.filled)));
    if (size == 0) return fail(ErrorCode::closed, "floor: a process ended early");
    peer.filled += size;
    if (peer.filled < peer.buffer.size()) return false;
    const Range& range = incoming(from);
    const MutableByteView plain = MutableByteView(peer.buffer).first(peer.filled - crypto::Aead::kTagSize);
    if (!peer.opener.open(peer.received++, {}, peer.buffer, plain)) {
      return fail(ErrorCode::authentication, "floor: a frame does not open");
    }
    const auto place =
        std::span(output_).subspan(range.begin + peer.next * chunk, range.chunk_size(peer.next));
    if (peer.results) {
      TRY_VOID(decode(codec_, plain, place, g_max));
    } else {
      decoded_.resize(place.size());
      TRY_VOID(decode(codec_, plain, decoded_, g_max));
      for (std::size_t i = 0; i < place.size(); ++i) place[i] += decoded_[i];
    }
    const bool complete = peer.next + 1 == range.chunks();
    if (complete && peer.results) {
      peer.done = true;
    } else {
      peer.results = peer.results || complete;
      expect(from, complete ? 0 : peer.next + 1);
    }
    return complete;
  }

  std::size_t index_;
  CodecKind codec_;
  std::vector<float> input_, output_;
  std::vector<float> decoded_;
  std::vector<Range> ranges_;
  std::vector<std::unique_ptr<Peer>> peers_;
  std::atomic<bool> reduced_ = false;
};

}  // namespace

Result<void> floor_member_role(const tools::Json& role, tools::Output& output) {
  TRY(const auto group, SharedGroup::open(role.at("group")));
  TRY(const CodecKind codec, training::codec_from_name(role.at("codec").get<std::string>()));
  FloorMember member(role.at("index"), group->members(), role.at("values"), codec);
  TRY_VOID(member.connect(*group));
  for (std::size_t turn = 0; turn < role.at("turns").get<std::size_t>(); ++turn) {
    TRY_VOID(group->wait_for_all(group_limit));
    const double start = wall_seconds();
    const double cpu = process_cpu_seconds();
    TRY_VOID(member.reduce());
    output.say(
        {{"event", "turn"}, {"start", start}, {"end", wall_seconds()}, {"cpu", process_cpu_seconds() - cpu}},
        "");
    if (!member.is_right()) return fail(ErrorCode::internal, "floor: the reduced vector is wrong");
  }
  output.say({{"event", "done"}, {"peak", peak_resident_bytes(getpid())}}, "");
  return {};
}

}  // namespace testudo::bench
