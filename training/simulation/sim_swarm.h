// SimSwarm: a whole swarm in one process and virtual time, as a pure function of its options: the production
// Participant on every member, with the seams of docs/simulator.md exchanged and nothing else. start() in
// sim_swarm.cc is the wiring. Everything is checked on the way (checker.h). Loop thread only, which is the
// caller's: time passes only in run_until().
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "crypto/verified_signatures.h"
#include "dht/dht.h"
#include "net/async/sim_scheduler.h"
#include "net/sim/sim_network.h"
#include "net/storage/faulty_storage.h"
#include "net/storage/memory_storage.h"
#include "swarm/strikes.h"
#include "training/round/participant.h"
#include "training/simulation/behaviour.h"
#include "training/simulation/checker.h"
#include "training/synthetic_model.h"

namespace testudo::training {

struct SwarmOptions {
  std::size_t founders = 3;
  std::size_t joiners = 2;
  std::size_t clients = 0;  // the first of those that join: nobody can connect to them
  std::size_t hostile = 0;  // the last of all members
  std::vector<std::string> attacks = {"sign_flip"};  // the hostile take turns
  std::uint64_t attack_from = 3;                     // honest before this round
  std::uint64_t attack_every = 1;                    // gradient attacks: in every so many-th round only
  double survive = 0;                                // share of hostile votes; 0: as manifests have it
  std::size_t dimension = 500;
  // What is trained, by all in turn; null: a SyntheticModel of `dimension`.
  std::shared_ptr<Model> model = nullptr;
  // Has the last word about the manifest, but for what follows from the model; may be empty.
  std::function<void(swarm::Manifest&)> adjust = {};
  std::uint64_t rounds = 10;
  std::uint32_t start_members = 1;
  std::string rule = "centered_clip";
  // 0: automatic. Not the default of runs: more than honest gradients of the synthetic model are apart, so
  // that a test is about clipping only if it wants to be.
  double tau = 5;
  std::uint32_t validators = 0;
  double recompute_tolerance = 0;
  std::string codec = "int8";
  double loss = 0;                                        // share of packets
  net::Duration latency = std::chrono::milliseconds(20);  // one way between two members
  net::Duration jitter = std::chrono::milliseconds(2);
  double bandwidth = 0;                            // bytes a second and direction of a member; 0: no limit
  std::map<std::size_t, double> other_lines = {};  // the same of single members
  net::Duration work = std::chrono::milliseconds(50);  // a job on the CPU pool
  net::Duration delta = std::chrono::milliseconds(500);
  net::Duration linger = std::chrono::seconds(10);
  std::uint64_t evaluate_every = 5;  // 0: never
  // What members sign and hold is checked, and a signature that one of them found good is so for the others.
  // False where their processor time is measured.
  bool watched = true;
  bool faulty_disks = false;  // somebody plans faults: members may end with what their disk says
  std::uint64_t seed = 1;

  std::size_t members() const { return founders + joiners; }
  bool is_client(std::size_t i) const { return i >= founders && i < founders + clients; }
};

// What happens, for whoever watches. Called within a turn.
class SwarmObserver {
 public:
  virtual ~SwarmObserver() = default;
  virtual void on_report(std::size_t /*member*/, const RoundReport&) {}
  // For people: "started", "killed", "waiting: …".
  virtual void on_event(std::optional<std::size_t> /*member*/, const std::string& /*what*/) {}
};

class SimSwarm {
 public:
  // Values are drawn from the options, the options have been checked: a rule, codec or attack that does not
  // exist is a fault of the caller's.
  explicit SimSwarm(SwarmOptions options, SwarmObserver* observer = nullptr);
  ~SimSwarm();
  SimSwarm(const SimSwarm&) = delete;
  SimSwarm& operator=(const SimSwarm&) = delete;

  class Member final : public ParticipantObserver {
   public:
    Member(SimSwarm& swarm, std::size_t index, net::SimHost& its_host);
    void on_round_started(swarm::RoundNumber round) override { started_round = round.value(); }
    void on_round(const RoundReport& report) override;
    void on_removed(const swarm::Removal& removal, swarm::RoundNumber round) override;
    void on_admitted(const swarm::PeerId& peer, swarm::RoundNumber round) override;
    void on_strike(const swarm::Strike& strike, swarm::RoundNumber round) override;
    void on_resting(const std::vector<swarm::PeerId>& now_resting, swarm::RoundNumber from) override;
    void on_waiting(const std::string& reason) override;
    void on_fetching(const FetchProgress& progress) override { fetched.push_back(progress); }
    // The tamper of an honest member: changes nothing, and reads what it signs.
    Tamper watch();
    bool running() const { return participant != nullptr; }
    // The round whose parameters it holds; 0: the initial ones, or none.
    std::uint64_t holds() const { return participant ? participant->finished_rounds().value() : 0; }

    net::SimHost* host;
    Behaviour behaviour;         // before start()
    net::MemoryStorage storage;  // what kill -9 leaves
    net::SimProcess process;     // its time: the same one through all its restarts
    std::optional<Result<void>> ended;
    std::map<std::uint64_t, RoundReport> reports;  // of applied rounds
    std::vector<swarm::Removal> removals;
    std::vector<std::uint64_t> removal_rounds;  // of each
    std::vector<swarm::PastStrike> strikes;
    std::vector<swarm::PeerId> resting;
    std::set<swarm::PeerId> rested;  // ever
    std::string waiting;
    std::vector<FetchProgress> fetched;  // as it was told on the way
    std::uint64_t started_round = 0;
    swarm::PhaseKey said{};  // of its last phase message
    std::uint64_t voted_round = 0;

    // What a process has, in the order in which it is made.
    std::unique_ptr<TamperingHost> tampering;
    std::unique_ptr<net::FaultyStorage> disk;  // in front of its storage
    std::unique_ptr<dht::Dht> dht;
    std::unique_ptr<Participant> participant;
    std::unique_ptr<net::TaskGroup> tasks;

   private:
    void read_signed(const Bytes& header);
    SimSwarm& swarm_;
    std::size_t index_;
    Bytes last_read_;  // the same header goes to many
  };

  void start(std::size_t i);
  void start_all();
  // kill -9: only the storage stays.
  void crash(std::size_t i);
  // `one_side` and the rest do not reach each other until heal().
  void partition(const std::vector<std::size_t>& one_side);
  void heal();

  // Until `finished` holds; false when virtual time passes the limit or a property is broken before.
  bool run_until(const std::function<bool()>& finished, net::Duration limit);
  bool all_ended() const;
  std::uint64_t last_round(std::size_t i) const;

  Member& member(std::size_t i) { return *members_[i]; }
  std::size_t size() const { return members_.size(); }
  net::SimScheduler& scheduler() { return scheduler_; }
  net::SimNetwork& network() { return network_; }
  SwarmChecker& checker() { return checker_; }
  const SwarmOptions& options() const { return options_; }
  const swarm::Manifest& manifest() const { return manifest_.manifest; }
  const std::shared_ptr<Model>& model() const { return model_; }

 private:
  void stop_objects(Member& member);
  void check_storage(std::size_t i);
  void note_end(std::size_t i);
  void measure();
  void tell(std::optional<std::size_t> member, const std::string& what);

  SwarmOptions options_;
  std::optional<crypto::VerifiedSignatures> verified_;
  SwarmObserver* observer_;
  net::SimScheduler scheduler_;
  net::SimNetwork network_;
  net::SimHost* bootstrap_;
  std::unique_ptr<dht::Dht> bootstrap_dht_;
  std::shared_ptr<Model> model_;  // one for all: it keeps no state, and the simulator has one thread
  std::vector<std::unique_ptr<Member>> members_;
  swarm::SignedManifest manifest_;
  SwarmChecker checker_;
  net::TimePoint next_tick_{};
};

}  // namespace testudo::training
