// Node: one peer of the network: an identity, its sockets, its place in the DHT, and the runs that it founds
// and joins.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "testudo/error.h"
#include "testudo/log.h"
#include "testudo/model.h"
#include "testudo/run.h"

#pragma GCC visibility push(default)

namespace testudo {

struct NodeOptions {
  // Where the identity, the known peers and the progress of a run are kept, one process and node at a time;
  // empty: in memory, with an identity that is made up and gone afterwards.
  std::string data_directory;
  // Multiaddrs like "/ip4/0.0.0.0/tcp/4040"; port 0: any free one. Empty: nobody can dial this node.
  std::vector<std::string> listen = {"/ip4/0.0.0.0/tcp/0"};
  // Nodes to start from, "/ip4/192.0.2.1/tcp/4040/p2p/12D3Koo…". Empty: this is the first, a bootstrap node
  // for others.
  std::vector<std::string> bootstrap;
  // Nobody can dial this machine: it asks the DHT and serves nobody, and computes without reducing for
  // others.
  bool client = false;
  // How long put(), get(), found_run() and a run that was joined try to reach a bootstrap node, and a run to
  // find its manifest, before they give up.
  std::chrono::milliseconds patience = std::chrono::minutes(1);

  // Lines of this level and above; called on the node's loop thread. Quiet without it.
  LogFunction log;
  LogLevel log_level = LogLevel::info;
};

// Owned by its maker. Several may live in one process; they share nothing.
//
// Threads: a node has one loop thread ("testudo-loop") that runs all of it, and up to three for computing
// ("testudo-cpu"); they are its own, take no signals, and end with it. Every call may come from any thread,
// also several at once, except that what waits (put, get, found_run, join, and Run's) is refused from a
// callback or a model, because it would wait for itself.
//
// The library installs no signal handlers, sets no environment variables, prints nothing and keeps no global
// state; a peer that hangs up raises no SIGPIPE in any thread of yours.
class Node {
 public:
  // Listens when it returns; the bootstrap nodes are dialled meanwhile. Errors: `invalid_argument` for a
  // malformed address, `io` for a port in use or a directory that cannot be written, `refused` for a data
  // directory in use, `corrupt` for an identity that does not check.
  explicit Node(const NodeOptions& options = {});
  // Leaves its run and closes everything. No other call may be under way, but for those of Run. From a
  // callback or a model of its own it ends the program with a message: a thread cannot wait for its own end.
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  // The peer id, like "12D3Koo…".
  std::string id() const;
  // Where others can dial it, each with its peer id at the end: what NodeOptions::bootstrap takes.
  std::vector<std::string> addresses() const;

  // Stores a value under this node's own name in the DHT, for two days, and returns its key; others read it
  // with that, and cannot write it. A later value replaces it. Errors: `limit` for more than 16 KiB,
  // `unreachable` when nobody is there to take it.
  std::string put(const std::string& name, const std::string& value);
  // Nothing when nobody has it. Errors: `unreachable`, `invalid_argument` for what is no key of put().
  std::optional<std::string> get(const std::string& key);

  // Defines and publishes a run of this model, and returns its id, 64 hex digits, which the others join with.
  // This node is its author, and joins with join() as everybody else. Errors: `invalid_argument` for options
  // out of bounds, `unreachable`; what the model throws comes as `internal`.
  std::string found_run(const RunOptions& options, const std::shared_ptr<Model>& model);

  // Takes part in a run until its last round. Returns at once: what goes wrong later is thrown by
  // Run::wait(). Errors: `invalid_argument` for a malformed id or without a model, `refused` while this node
  // is in another run: a node is in one at a time, and a data directory holds one.
  Run join(const std::string& run, const JoinOptions& options);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace testudo

#pragma GCC visibility pop
