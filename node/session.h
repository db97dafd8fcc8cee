// Session: one node's participation in one run: its manifest found, its models made, a Participant run to the
// last round. `testudo join` is this and a printer; so is Node::join of the public face. Loop thread only.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/storage/storage.h"
#include "node/data_directory.h"
#include "node/node.h"
#include "training/model.h"
#include "training/round/participant.h"

namespace testudo::node {

// A manifest whose model is "custom:" and a name needs the program of whoever founded the run.
inline constexpr std::string_view custom_model_prefix = "custom:";

// Two independent objects over the same data: one contributes while the other evaluates. Without the second
// nothing is evaluated.
struct Models {
  std::shared_ptr<training::Model> model;
  std::shared_ptr<training::Model> evaluator;
};

// The models that a manifest names. Called on the CPU pool: reading a data set takes a while.
using ModelSource = std::function<Result<Models>(const swarm::Manifest&)>;

// Called on the loop thread, as all of ParticipantObserver.
class SessionObserver : public training::ParticipantObserver {
 public:
  // The run is known and its models are made; it begins.
  virtual void on_manifest(const swarm::SignedManifest&) {}
};

struct Trained {
  swarm::RoundNumber rounds;
  std::vector<float> parameters;
  Models models;
  std::string model;  // its name in the manifest
};

class Session {
 public:
  // `data` may be null: nothing is kept then. All of them must outlive this.
  Session(Node& node, net::Storage& storage, const DataDirectory* data, swarm::RunId run, ModelSource source,
          SessionObserver& observer, training::ParticipantOptions options);

  // Makes the models of a manifest that is known already. Before anybody hears of this node: what is wrong
  // with this machine is found first.
  net::Task<Result<void>> prepare(swarm::SignedManifest kept);

  // To the last round. The node has joined the DHT, where a manifest that is not known yet is looked for so
  // long. Destroying the task leaves the run.
  net::Task<Result<Trained>> take_part(net::Duration manifest_limit = std::chrono::minutes(1));

 private:
  Node& node_;
  net::Storage& storage_;
  const DataDirectory* data_;
  swarm::RunId run_;
  ModelSource source_;
  SessionObserver& observer_;
  training::ParticipantOptions options_;
  std::optional<swarm::SignedManifest> manifest_;
  Models models_;
};

}  // namespace testudo::node
