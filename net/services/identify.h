// identify and identify-push: on every connection both sides learn the other's addresses, protocols and
// agent, and from where they are seen. Results go to the host's peer store. Loop thread only.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "net/async/task_group.h"
#include "net/host/host.h"

namespace testudo::net {

inline constexpr const char* kIdentifyProtocol = "/ipfs/id/1.0.0";
inline constexpr const char* kIdentifyPushProtocol = "/ipfs/id/push/1.0.0";
inline constexpr std::size_t kMaxIdentify = 8192;  // what js-libp2p and go-libp2p accept

struct IdentifyInfo {
  std::vector<Multiaddr> addresses;       // of the signed record if there is a valid one, else as listed
  std::optional<std::uint64_t> sequence;  // of the signed record
  std::vector<std::string> protocols;
  std::optional<Multiaddr> observed;  // us, as the peer sees us
  std::string protocol_version;
  std::string agent;
};

Bytes encode_identify(const Host& host, const std::string& agent, std::uint64_t sequence,
                      const std::optional<Multiaddr>& observed);
// What does not parse in a list is skipped; a key or a record of someone else is an error.
Result<IdentifyInfo> decode_identify(ByteView encoded, const PeerId& from);

// Asks a peer. Connects if need be. Nothing is stored.
Task<Result<IdentifyInfo>> identify(Host& host, PeerId peer);

class IdentifyService {
 public:
  explicit IdentifyService(Host& host, std::string agent = "testudo/" TESTUDO_VERSION);
  IdentifyService(const IdentifyService&) = delete;
  IdentifyService& operator=(const IdentifyService&) = delete;
  ~IdentifyService();

  // Tells every connected peer our state of now: call it when protocols or addresses changed.
  void push();
  // Our address as most of the connected peers see it, if any told us.
  std::optional<Multiaddr> observed_address() const;

 private:
  Task<void> answer(std::unique_ptr<Stream> stream);
  Task<void> take_push(std::unique_ptr<Stream> stream);
  Task<void> ask(PeerId peer);
  Task<void> push_to(PeerId peer);
  Bytes message_for(const PeerId& peer) const;
  void learn(const PeerId& peer, IdentifyInfo info);

  Host& host_;
  std::string agent_;
  std::map<PeerId, Multiaddr> observed_;       // of connected peers
  std::map<PeerId, std::uint64_t> sequences_;  // of their latest records
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  TaskGroup tasks_;
};

}  // namespace testudo::net
