#include "tests/attack/attacks.h"

#include <time.h>

#include <chrono>
#include <map>
#include <memory>

#include "crypto/base/encoding.h"
#include "crypto/rng.h"
#include "dht/message.h"
#include "net/services/identify.h"
#include "net/services/ping.h"

namespace testudo::attack {
namespace {

using Peers = std::vector<std::unique_ptr<RawPeer>>;
using namespace std::chrono_literals;

constexpr const char* kDht = "/testudo/kad/1.0.0";

// So many turns a second and no more, whatever a turn costs.
class Pace {
 public:
  explicit Pace(int per_second) : interval_(std::chrono::nanoseconds(1s) / per_second) {}
  void wait() {
    next_ = std::max(next_ + interval_, std::chrono::steady_clock::now());
    const auto left = next_ - std::chrono::steady_clock::now();
    if (left <= 0ns) return;
    const timespec pause{left / 1s, static_cast<long>((left % 1s).count())};
    nanosleep(&pause, nullptr);
  }

 private:
  std::chrono::nanoseconds interval_;
  std::chrono::steady_clock::time_point next_ = std::chrono::steady_clock::now();
};

// Keeps `count` connections in the state that `begin` brings them to, and lets each `linger` (one more byte,
// say) in turn. Those that are thrown out come again.
void hold(const Target& target, std::size_t count, const std::function<void(RawPeer&)>& begin,
          const std::function<void(RawPeer&)>& linger, bool muxer = true) {
  Peers peers(count);
  Pace pace(100);
  for (std::size_t turn = 0;; ++turn) {
    auto& peer = peers[turn % count];
    if (peer) peer->drain();
    if (!peer || !peer->is_open()) {
      peer = std::make_unique<RawPeer>(target, turn, muxer);
      begin(*peer);
    } else {
      linger(*peer);
    }
    pace.wait();
  }
}

void stay(RawPeer&) {}

// One joined connection after the other: `act` until it is thrown out, `per_second` times a second.
void repeat_joined(const Target& target, int per_second,
                   const std::function<void(RawPeer&, std::uint32_t)>& act, std::uint32_t turns = 0xffff'ffff,
                   bool drains = true) {
  Pace pace(per_second);
  Pace joins(5);
  for (std::size_t number = 0;; ++number) {
    RawPeer peer(target, number);
    joins.wait();
    if (!peer.join()) continue;
    for (std::uint32_t turn = 0; turn < turns && peer.is_open(); ++turn) {
      act(peer, turn);
      if (drains) peer.drain();
      pace.wait();
    }
  }
}

Bytes first_bytes(const Bytes& bytes, std::size_t count) {
  return Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(std::min(count, bytes.size())));
}

Bytes random_bytes(std::size_t size) {
  crypto::SystemRng rng;
  Bytes bytes(size);
  rng.fill(bytes);
  return bytes;
}

Bytes prefixed(const Bytes& message) {
  Bytes out;
  append_varint(out, message.size());
  append(out, message);
  return out;
}

std::uint32_t stream_number(std::uint32_t turn) { return 2 * (turn % 0x3fff'0000) + 1; }

// A record that fits the window of a new stream, random where a signature should be, and look-ups.
void dht_requests(const Target& target) {
  dht::Message put;
  put.type = dht::MessageType::put_value;
  put.key = to_bytes(std::string_view("/testudo/run/"));
  append(put.key, random_bytes(32));
  put.record = dht::Record{put.key, random_bytes(200'000), {}};
  const Bytes big = prefixed(put.encode());
  dht::Message get;
  get.type = dht::MessageType::find_node;
  get.key = random_bytes(32);
  const Bytes small = prefixed(get.encode());
  repeat_joined(target, 200, [&](RawPeer& peer, std::uint32_t turn) {
    const std::uint32_t id = stream_number(turn);
    if (turn % 10 != 0) {
      peer.open(id, kDht, small, RawPeer::syn | RawPeer::fin);
      return;
    }
    peer.open(id, kDht);
    for (std::size_t at = 0; at < big.size(); at += 50'000) {
      const ByteView piece = ByteView(big).subspan(at, std::min<std::size_t>(50'000, big.size() - at));
      Bytes plain = RawPeer::header(RawPeer::data, 0, id, static_cast<std::uint32_t>(piece.size()));
      append(plain, piece);
      peer.say_sealed(plain);
    }
  });
}

void resets_everywhere(const Target& target) {
  Pace pace(50);
  for (std::size_t number = 0;; ++number) {
    RawPeer peer(target, number);
    switch (number % 5) {
      case 0:
        break;
      case 1:
        peer.say(first_bytes(peer.opening(), 1 + number % 20));
        break;
      case 2: {
        const Bytes third = peer.third_message();
        peer.say(first_bytes(third, third.size() / 2));
        break;
      }
      default:
        if (!peer.join()) break;
        for (std::uint32_t id = 1; id < 20; id += 2) {
          peer.open(id, id % 4 == 1 ? kDht : net::kPingProtocol, random_bytes(id));
          peer.frame(RawPeer::window_update, RawPeer::rst, id, 0);
        }
        break;
    }
    peer.close();
    pace.wait();
  }
}

void connection_flood(const Target& target) {
  Peers peers;
  Pace pace(200);
  for (std::size_t number = 0;; ++number) {
    if (peers.size() < 700) {
      auto peer = std::make_unique<RawPeer>(target, number);
      if (peer->join()) peers.push_back(std::move(peer));
    }
    if (!peers.empty()) {
      auto& peer = peers[number % peers.size()];
      peer->drain();
      if (!peer->is_open()) {
        std::swap(peer, peers.back());
        peers.pop_back();
      }
    }
    pace.wait();
  }
}

void slow_reader(const Target& target) {
  repeat_joined(
      target, 200,
      [](RawPeer& peer, std::uint32_t turn) { peer.open(stream_number(turn), net::kIdentifyProtocol); },
      20'000, false);
}

std::vector<Attack> make_attacks() {
  std::vector<Attack> all;
  const auto add = [&all](std::string name, std::string what, std::function<void(const Target&)> run) {
    all.push_back({std::move(name), std::move(what), std::move(run)});
  };
  add("slow-connect", "200 connections that say nothing",
      [](const Target& target) { hold(target, 200, stay, stay); });
  add("slow-multistream", "half of the first line, then nothing", [](const Target& target) {
    hold(target, 200, [](RawPeer& peer) { peer.say(first_bytes(peer.opening(), 9)); }, stay);
  });
  add("slow-noise-1", "half of the first message of Noise, then a byte at a time", [](const Target& target) {
    hold(
        target, 200,
        [](RawPeer& peer) {
          peer.say(peer.opening());
          peer.say(Bytes{0, 200, 1, 2, 3});
        },
        [](RawPeer& peer) { peer.say(Bytes{7}); });
  });
  add("slow-noise-3", "half of the third message of Noise", [](const Target& target) {
    hold(
        target, 150,
        [](RawPeer& peer) {
          const Bytes third = peer.third_message();
          peer.say(first_bytes(third, third.size() / 2));
        },
        stay);
  });
  add("slow-muxer", "a whole handshake, and then no muxer", [](const Target& target) {
    hold(target, 150, [](RawPeer& peer) { peer.say(first_bytes(peer.third_message(), 4096)); }, stay, false);
  });
  add("slow-negotiation", "500 streams that never say what for", [](const Target& target) {
    repeat_joined(target, 500, [](RawPeer& peer, std::uint32_t turn) {
      Bytes both = RawPeer::header(RawPeer::data, RawPeer::syn, stream_number(turn), 2);
      append(both, Bytes{19, '/'});
      peer.say_sealed(both);
    });
  });
  add("slow-request", "requests that never end", [](const Target& target) {
    repeat_joined(target, 200, [](RawPeer& peer, std::uint32_t turn) {
      peer.open(stream_number(turn), kDht, Bytes{0xff, 0x03, 1, 2, 3});
    });
  });
  add("garbage", "random bytes instead of a handshake, and instead of a sealed frame",
      [](const Target& target) {
        Pace pace(50);
        for (std::size_t number = 0;; ++number) {
          RawPeer peer(target, number);
          if (number % 2 == 0) (void)peer.join();
          peer.say(random_bytes(20'000));
          pace.wait();
        }
      });
  add("big-frames", "frames of 65,535 bytes, in the handshake and sealed", [](const Target& target) {
    Pace pace(50);
    for (std::size_t number = 0;; ++number) {
      RawPeer peer(target, number);
      if (number % 2 == 0) {
        peer.say(peer.opening());
        Bytes frame{0xff, 0xff};
        frame.resize(65'537);
        peer.say(frame);
      } else if (peer.join()) {
        Bytes plain = RawPeer::header(RawPeer::data, 0, 99, 65'519 - 12);
        plain.resize(65'519);
        for (int i = 0; i < 40; ++i) peer.say_sealed(plain);
      }
      pace.wait();
    }
  });
  add("window-overflow", "more data than the window allows", [](const Target& target) {
    repeat_joined(target, 100, [](RawPeer& peer, std::uint32_t) {
      peer.open(1, kDht);
      Bytes plain = RawPeer::header(RawPeer::data, 0, 1, 60'000);
      plain.resize(plain.size() + 60'000);
      for (int i = 0; i < 6; ++i) peer.say_sealed(plain);
    });
  });
  add("stream-flood", "streams opened as fast as it goes", [](const Target& target) {
    repeat_joined(target, 20, [](RawPeer& peer, std::uint32_t turn) {
      Bytes many;
      for (std::uint32_t i = 0; i < 200; ++i) {
        append(many, RawPeer::header(RawPeer::window_update, RawPeer::syn, stream_number(turn * 200 + i), 0));
      }
      peer.say_sealed(many);
    });
  });
  add("open-reset-flood", "streams opened and reset in the same breath", [](const Target& target) {
    repeat_joined(target, 20, [](RawPeer& peer, std::uint32_t turn) {
      Bytes many;
      for (std::uint32_t i = 0; i < 200; ++i) {
        const std::uint32_t id = stream_number(turn * 200 + i);
        append(many, RawPeer::header(RawPeer::window_update, RawPeer::syn, id, 0));
        append(many, RawPeer::header(RawPeer::window_update, RawPeer::rst, id, 0));
      }
      peer.say_sealed(many);
    });
  });
  add("frame-4-gib", "headers that announce four GiB", [](const Target& target) {
    repeat_joined(target, 100, [](RawPeer& peer, std::uint32_t turn) {
      peer.frame(RawPeer::data, turn % 2 == 0 ? RawPeer::syn : 0, stream_number(turn), 0xffff'ffff);
    });
  });
  add("resets-everywhere", "connections and streams dropped in every state", resets_everywhere);
  add("connection-flood", "whole handshakes, 200 a second, and the connections kept", connection_flood);
  add("ping-flood", "5,000 pings in one frame, again and again", [](const Target& target) {
    Bytes many;
    for (std::uint32_t i = 0; i < 5'000; ++i)
      append(many, RawPeer::header(RawPeer::ping, RawPeer::syn, 0, i));
    repeat_joined(target, 20, [many](RawPeer& peer, std::uint32_t) { peer.say_sealed(many); });
  });
  add("go-away", "the end of the session announced, and streams opened all the same",
      [](const Target& target) {
        repeat_joined(target, 100, [](RawPeer& peer, std::uint32_t turn) {
          peer.frame(RawPeer::go_away, 0, 0, 0);
          peer.open(stream_number(turn), net::kPingProtocol, Bytes(32));
        });
      });
  add("window-update-overflow", "windows granted until they would wrap around", [](const Target& target) {
    repeat_joined(target, 200, [](RawPeer& peer, std::uint32_t turn) {
      if (turn == 0) peer.open(1, net::kIdentifyProtocol);
      peer.frame(RawPeer::window_update, 0, 1, 0xffff'ffff);
    });
  });
  add("half-closed", "streams ended on one side and kept on the other", [](const Target& target) {
    repeat_joined(target, 300, [](RawPeer& peer, std::uint32_t turn) {
      peer.open(stream_number(turn), turn % 2 == 0 ? net::kPingProtocol : kDht, {},
                turn % 3 == 0 ? RawPeer::syn : RawPeer::syn | RawPeer::fin);
    });
  });
  add("dht-requests", "large records that are not valid, and look-ups", dht_requests);
  add("slow-reader", "answers asked for and never read", slow_reader);
  return all;
}

}  // namespace

const std::vector<Attack>& all_attacks() {
  static const std::vector<Attack> all = make_attacks();
  return all;
}

}  // namespace testudo::attack
