// The messages of `/testudo/sync/1.0.0` and their bounds: internal to sync.cc, state_download.cc and
// step_download.cc, and to simulated members that answer wrongly. Values; any thread.
#pragma once

#include <string>
#include <vector>

#include "net/messages/service.h"
#include "swarm/download_window.h"
#include "swarm/types.h"

namespace testudo::swarm::sync {

inline constexpr const char* protocol = "/testudo/sync/1.0.0";
inline constexpr net::Duration request_timeout = std::chrono::seconds(10);
// One answer's share of a ledger, and of a list of leaves: enough to amortise a round trip, little enough to
// hold in memory for every asker.
inline constexpr std::size_t certificates_per_reply = 64;
// A reply ends with the certificate that crosses this: it comes on a line of 20 kB/s.
inline constexpr std::size_t certificate_bytes_per_reply = 128 * 1024;
inline constexpr net::Duration evidence_interval = std::chrono::milliseconds(200);
inline constexpr net::Duration evidence_interval_of_strangers = std::chrono::seconds(1);
inline constexpr std::size_t leaves_per_reply = 16 * 1024;
// While the parts of a round move, pieces of states and steps are so much of what a member sends: one byte in
// four. So many a second go in any case, so that newcomers get on where a round stands still.
inline constexpr std::uint64_t line_share = 4;
inline constexpr std::size_t bytes_in_any_case = 256 * 1024;
// No piece waits longer: its asker has patience for as long again.
inline constexpr net::Duration longest_wait = request_timeout / 2;
inline constexpr net::Duration look_again = std::chrono::milliseconds(50);
inline constexpr std::size_t max_request = 256;
// Of a state or a step, in one answer.
inline constexpr std::size_t max_piece = DownloadWindow::greatest_request;
// Of one peer: a piece is cheap to serve, and 64 MB a second of the smallest are a good line.
inline constexpr std::uint64_t requests_per_second = 4096;

enum class Kind : std::uint8_t {
  head = 1,
  certificates = 2,
  leaves = 3,
  chunk = 4,
  path = 5,
  step = 6,
  evidence = 7,
};

struct Request {
  std::uint8_t kind = 0;
  RunId run{};
  Digest root{};  // leaves, chunk, path and step: of which state; evidence: what the certificate calls it
  std::uint64_t from = 0;   // height, leaf, or byte of the state or of the step
  std::uint32_t bytes = 0;  // chunk and step: so many, at most max_piece
  MSGPACK_DEFINE(kind, run, root, from, bytes)
};

enum class Status : std::uint8_t {
  ok = 0,
  other_run = 1,
  unknown = 2,  // no such state here, no such chunk in it, or no such evidence
};

struct HeadReply {
  std::uint8_t status = 0;
  std::uint64_t height = 0;
  Digest head{};
  MSGPACK_DEFINE(status, height, head)
};
struct CertificatesReply {
  std::uint8_t status = 0;
  std::vector<Bytes> certificates;
  MSGPACK_DEFINE(status, certificates)
};
struct LeavesReply {
  std::uint8_t status = 0;
  std::uint64_t size = 0;      // of the state, in bytes
  std::vector<Digest> leaves;  // from the one asked for
  MSGPACK_DEFINE(status, size, leaves)
};
struct ChunkReply {
  std::uint8_t status = 0;
  Bytes piece;
  MSGPACK_DEFINE(status, piece)
};

struct PathReply {
  std::uint8_t status = 0;
  std::vector<Digest> roots;
  std::uint64_t whole = 0;
  MSGPACK_DEFINE(status, roots, whole)
};
struct StepReply {
  std::uint8_t status = 0;
  std::uint64_t size = 0;  // of the step, in bytes
  Bytes piece;
  MSGPACK_DEFINE(status, size, piece)
};
struct EvidenceReply {
  std::uint8_t status = 0;
  Bytes evidence;
  MSGPACK_DEFINE(status, evidence)
};

inline std::uint64_t chunk_count(std::uint64_t size, std::uint64_t chunk_bytes) {
  return size / chunk_bytes + (size % chunk_bytes != 0);
}

// Every error names the donor.
template <typename Reply>
net::Task<Result<Reply>> ask(net::Host& host, PeerId donor, Request request, std::size_t max_reply) {
  auto bytes = co_await net::request(host, donor, protocol, net::pack(request), max_reply, request_timeout);
  if (!bytes) co_return fail(std::move(bytes).error());
  net::MessageLimits limits;
  limits.size = max_reply;
  auto reply = net::unpack<Reply>(*bytes, limits);
  if (!reply) co_return fail(std::move(reply).error().in("donor " + donor.to_text()));
  switch (static_cast<Status>(reply->status)) {
    case Status::ok:
      co_return std::move(*reply);
    case Status::other_run:
      co_return fail(ErrorCode::not_found, "donor " + donor.to_text() + ": takes part in another run");
    case Status::unknown:
      co_return fail(ErrorCode::not_found, "donor " + donor.to_text() + ": does not have it");
  }
  co_return fail(ErrorCode::protocol, "donor " + donor.to_text() + ": unknown status in the reply");
}

}  // namespace testudo::swarm::sync
