#include "swarm/sync.h"

#include "net/messages/service.h"
#include "net/sim/sim_network.h"
#include "net/storage/memory_storage.h"
#include "swarm/sync_messages.h"
#include "tests/swarm/testing.h"

using namespace testudo;
using namespace testudo::swarm;
using namespace testudo::testing;
using namespace std::chrono_literals;

namespace {

template <typename T>
net::Task<void> store(net::Task<T> task, std::optional<T>& out) {
  out.emplace(co_await task);
}

Buffer random_state(std::size_t size) {
  crypto::SeededRng rng(std::uint64_t{11});
  Buffer state(size);
  rng.fill(state);
  return state;
}

// A member that has one state whole, and steps by the root that they lead to.
struct States final : StateSource {
  Blob whole;
  std::map<Digest, Bytes> steps;
  std::vector<Digest> way;

  Value state(const Digest& root) override {
    if (!whole || state_root(*whole) != root) return nullptr;
    return std::make_shared<net::ValueInMemory<Buffer>>(whole);
  }
  StatePath path(const Digest& root) override {
    return !way.empty() && way.back() == root ? StatePath{way, 1} : StatePath();
  }
  Value step(const Digest& root) override {
    const auto found = steps.find(root);
    if (found == steps.end()) return nullptr;
    return std::make_shared<net::ValueInMemory<Bytes>>(std::make_shared<const Bytes>(found->second));
  }
};

// Hosts on a simulated network, each with a ledger of one run.
struct Swarm {
  struct Node {
    net::SimHost& host;
    std::unique_ptr<net::MemoryStorage> storage = std::make_unique<net::MemoryStorage>();
    std::unique_ptr<Ledger> ledger;
    std::unique_ptr<States> states = std::make_unique<States>();
    std::unique_ptr<SyncServer> server;
    std::unique_ptr<DownloadWindow> window;
  };

  std::vector<KeyPair> keys = make_keys(3);
  SignedManifest manifest = make_signed_manifest(keys);
  RunId run = manifest.manifest.run_id();
  net::SimScheduler scheduler;
  net::SimNetwork network{scheduler, {}};
  std::deque<Node> nodes;
  net::TaskGroup tasks{scheduler};

  Node& add_node(net::SimHostOptions options = {}) {
    return introduce(nodes.emplace_back(Node{network.add_host(options)}));
  }
  // With the name of a member.
  Node& add_member(const KeyPair& key) {
    return introduce(nodes.emplace_back(Node{network.add_host({}, key.clone())}));
  }
  Node& introduce(Node& node) {
    node.ledger = *Ledger::open(*node.storage, manifest);
    node.window = std::make_unique<DownloadWindow>(scheduler);
    for (Node& other : nodes) {
      if (&other == &node) continue;
      other.host.peer_store().add_addresses(node.host.id(), node.host.addresses(),
                                            net::PeerStore::Source::user);
      node.host.peer_store().add_addresses(other.host.id(), other.host.addresses(),
                                           net::PeerStore::Source::user);
    }
    return node;
  }
  void serve(Node& node, Blob state = nullptr) {
    node.states->whole = std::move(state);
    node.server = std::make_unique<SyncServer>(node.host, run, *node.ledger, *node.states);
  }
  void extend(Node& node, int count, const std::vector<KeyPair>& signers) const {
    for (int i = 0; i < count; ++i) {
      const auto kind = i % 10 == 9 ? OutcomeKind::voided : OutcomeKind::apply;
      REQUIRE(
          node.ledger->append(certify(next_outcome(node.ledger->chain(), run, kind), signers)).has_value());
    }
  }
  template <typename T>
  T wait(net::Task<T> task, net::Duration limit = 60s) {
    std::optional<T> out;
    tasks.spawn(store(std::move(task), out));
    REQUIRE(scheduler.run_for([&] { return out.has_value(); }, limit));
    return std::move(*out);
  }
};

// Serves what it likes: the right length of wrong bytes.
net::Task<Result<Bytes>> wrong_chunks(Blob state, Bytes message) {
  const auto request = net::unpack<sync::Request>(message);
  if (!request) co_return fail(request.error());
  if (request->kind == static_cast<std::uint8_t>(sync::Kind::leaves)) {
    co_return net::pack(sync::LeavesReply{0, state->size(), state_leaves(*state)});
  }
  co_return net::pack(sync::ChunkReply{0, Bytes(request->bytes, 0xee)});
}

net::Task<Result<Bytes>> wrong_leaves(Blob state, Bytes) {
  auto leaves = state_leaves(*state);
  leaves.front()[0] ^= 1;
  co_return net::pack(sync::LeavesReply{0, state->size(), leaves});
}

net::Task<Result<Bytes>> huge(Blob, Bytes) {
  co_return net::pack(sync::LeavesReply{0, std::uint64_t{1} << 62, {}});
}

using Liar = net::Task<Result<Bytes>> (*)(Blob, Bytes);
net::Service lie(net::Host& host, Blob state, Liar liar) {
  return net::serve(host, sync::protocol, sync::max_request, 10s,
                    [state, liar](PeerId, Bytes message) { return liar(state, std::move(message)); });
}

// Right, and just before the asker gives up.
net::Task<Result<Bytes>> late_answer(net::Host& host, Blob state, Bytes message) {
  const auto request = net::unpack<sync::Request>(message);
  if (!request) co_return fail(request.error());
  co_await net::sleep_for(host.scheduler(), sync::request_timeout - 500ms);
  if (request->kind == static_cast<std::uint8_t>(sync::Kind::leaves)) {
    co_return net::pack(sync::LeavesReply{0, state->size(), state_leaves(*state)});
  }
  co_return net::pack(sync::ChunkReply{0, to_bytes(ByteView(*state).subspan(request->from, request->bytes))});
}

bool mentions(const Error& error, const PeerId& peer) {
  return error.message.find(peer.to_text()) != std::string::npos;
}

}  // namespace

TEST_CASE("a state's root fixes its bytes and its size") {
  const Buffer state = random_state(state_chunk_bytes * 2 + 5);
  CHECK(state_leaves(state).size() == 3);
  Bytes other = to_bytes(state);
  other.back() ^= 1;
  CHECK(state_root(other) != state_root(state));
  CHECK(state_root(state.size() - 1, state_leaves(state)) != state_root(state));
  CHECK(state_root(Bytes{}) != state_root(Bytes{0}));
}

TEST_CASE_FIXTURE(
    Swarm,
    "a newcomer gets the exact bytes though one donor lies, one dies halfway and one lacks the state") {
  const auto state = std::make_shared<const Buffer>(random_state(40 * state_chunk_bytes + 1234));
  const Digest root = state_root(*state);
  // Uplinks of 2 MB/s: long enough for somebody to die meanwhile.
  for (int i = 0; i < 5; ++i) add_node({.upload = 2e6});
  serve(nodes[0], state);
  const net::Service liar = lie(nodes[1].host, state, wrong_chunks);
  serve(nodes[2], state);
  serve(nodes[3], state);
  serve(nodes[4]);  // has the ledger and no state
  auto& newcomer = add_node();

  std::vector<PeerId> donors;
  for (int i = 0; i < 5; ++i) donors.push_back(nodes[static_cast<std::size_t>(i)].host.id());
  std::optional<Result<Buffer>> out;
  std::size_t arrived = 0;
  const auto count = [&arrived](std::size_t bytes) { arrived += bytes; };
  tasks.spawn(
      store(download_state(newcomer.host, *newcomer.window, donors, run, root, 64 << 20, count), out));
  REQUIRE(scheduler.run_for([&] { return newcomer.host.traffic().bytes_received > state->size() / 2; }, 60s));
  CHECK_FALSE(out.has_value());
  nodes[2].server.reset();
  network.crash(nodes[2].host);
  REQUIRE(scheduler.run_for([&] { return out.has_value(); }, 60s));
  REQUIRE_MESSAGE(out->has_value(), (*out ? "" : out->error().message));
  CHECK(equal(**out, *state));
  // Some of it twice: what the liar gave, and what the dead one had begun.
  CHECK(arrived >= state->size());
  CHECK(arrived < state->size() * 5 / 4);
  // Spread over the donors: nobody sent all of it, and not much was sent twice.
  CHECK(nodes[0].host.traffic().bytes_sent < state->size() * 3 / 4);
  CHECK(nodes[3].host.traffic().bytes_sent > state->size() / 5);
  CHECK(newcomer.host.traffic().bytes_received < state->size() * 5 / 4);
}

TEST_CASE_FIXTURE(Swarm, "when no donor is left the error names what each one did wrong") {
  const auto state = std::make_shared<const Buffer>(random_state(3 * state_chunk_bytes));
  for (int i = 0; i < 6; ++i) add_node();
  const auto a = lie(nodes[0].host, state, wrong_chunks);
  const auto b = lie(nodes[1].host, state, wrong_leaves);
  const auto c = lie(nodes[2].host, state, huge);
  serve(nodes[3]);
  network.crash(nodes[4].host);
  std::vector<PeerId> donors;
  for (int i = 0; i < 5; ++i) donors.push_back(nodes[static_cast<std::size_t>(i)].host.id());
  const auto result =
      wait(download_state(nodes[5].host, *nodes[5].window, donors, run, state_root(*state), 10 << 20));
  REQUIRE_FALSE(result.has_value());
  for (const PeerId& donor : donors) CHECK(mentions(result.error(), donor));
  CHECK(result.error().message.find("does not match its leaf") != std::string::npos);
  CHECK(result.error().message.find("does not have it") != std::string::npos);

  // Alone, a donor cannot hide behind another's list of leaves.
  const auto alone = [&](std::size_t donor) {
    return wait(download_state(nodes[5].host, *nodes[5].window, {donors[donor]}, run, state_root(*state),
                               10 << 20))
        .error()
        .message;
  };
  CHECK(alone(1).find("does not belong to state") != std::string::npos);
  CHECK(alone(2).find("at most 10485760 are expected") != std::string::npos);

  const auto nobody =
      wait(download_state(nodes[5].host, *nodes[5].window, {nodes[5].host.id()}, run, state_root(*state), 1));
  CHECK_FALSE(nobody.has_value());
}

namespace {

constexpr double slow_line = 20e3;

// An honest answer, and as late as a donor may be without being dropped.
net::Service answer_late(net::Host& host, Blob state) {
  return net::serve(
      host, sync::protocol, sync::max_request, sync::request_timeout,
      [&host, state](PeerId, Bytes message) { return late_answer(host, state, std::move(message)); });
}

}  // namespace

TEST_CASE_FIXTURE(Swarm, "a state comes on a line of 20 kB/s, from all donors, as fast as the line is") {
  for (int i = 0; i < 3; ++i) add_node();
  const auto state = std::make_shared<const Buffer>(random_state(600'000));
  for (auto& node : nodes) serve(node, state);
  std::vector<PeerId> donors;
  for (auto& node : nodes) donors.push_back(node.host.id());
  auto& newcomer = add_node({.upload = slow_line, .download = slow_line});
  const net::TimePoint begun = scheduler.now();
  const auto got = wait(
      download_state(newcomer.host, *newcomer.window, donors, run, state_root(*state), state->size()), 120s);
  REQUIRE_MESSAGE(got.has_value(), (got ? "" : got.error().message));
  CHECK(equal(*got, *state));
  CHECK(scheduler.now() - begun < 40s);  // 30 s of them are the line's
}

TEST_CASE_FIXTURE(Swarm, "a step of several pieces comes on a line of 20 kB/s") {
  add_node();
  const Digest root = digest_of("a");
  nodes[0].states->steps[root] = to_bytes(random_state(700'000));
  serve(nodes[0]);
  auto& member = add_node({.upload = slow_line, .download = slow_line});
  const net::TimePoint begun = scheduler.now();
  const auto step =
      wait(download_step(member.host, *member.window, nodes[0].host.id(), run, root, 1'000'000), 120s);
  REQUIRE_MESSAGE(step.has_value(), (step ? "" : step.error().message));
  CHECK(*step == nodes[0].states->steps[root]);
  CHECK(scheduler.now() - begun < 45s);  // 35 s of them are the line's
}

TEST_CASE_FIXTURE(Swarm,
                  "donors that send every piece just before they would be dropped delay a state by little") {
  const auto state = std::make_shared<const Buffer>(random_state(40 * state_chunk_bytes));
  for (int i = 0; i < 4; ++i) add_node({.upload = 2e6});
  std::vector<net::Service> late;
  std::vector<PeerId> donors;
  for (std::size_t i = 0; i < 3; ++i) {
    late.push_back(answer_late(nodes[i].host, state));
    donors.push_back(nodes[i].host.id());
  }
  serve(nodes[3], state);
  donors.push_back(nodes[3].host.id());
  auto& newcomer = add_node();
  const net::TimePoint begun = scheduler.now();
  const auto got = wait(
      download_state(newcomer.host, *newcomer.window, donors, run, state_root(*state), state->size()), 300s);
  REQUIRE_MESSAGE(got.has_value(), (got ? "" : got.error().message));
  CHECK(equal(*got, *state));
  // The honest one's line takes five seconds, lists of leaves ten, and what the others hold is asked of it
  // once they have had it for six.
  CHECK(scheduler.now() - begun < 30s);
}

TEST_CASE_FIXTURE(Swarm, "states of no bytes, one byte and whole chunks arrive as they are") {
  add_node();
  add_node();
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, state_chunk_bytes, 2 * state_chunk_bytes}) {
    const auto state = std::make_shared<const Buffer>(random_state(size));
    nodes[0].server.reset();
    serve(nodes[0], state);
    const auto result = wait(
        download_state(nodes[1].host, *nodes[1].window, {nodes[0].host.id()}, run, state_root(*state), size));
    REQUIRE(result.has_value());
    CHECK(equal(*result, *state));
  }
}

TEST_CASE_FIXTURE(Swarm, "the steps to a state come whole, from one donor each, and with the way they make") {
  for (int i = 0; i < 4; ++i) add_node();
  const std::vector<Digest> way = {digest_of("a"), digest_of("b"), digest_of("c")};
  const Digest root = way.back();
  // One chunk, several, and more of them than are asked for at once.
  for (const std::size_t size : {std::size_t{1}, state_chunk_bytes, 20 * state_chunk_bytes + 17}) {
    nodes[0].server.reset();
    nodes[0].states->way = way;
    nodes[0].states->steps[root] = to_bytes(random_state(size));
    serve(nodes[0]);
    const PeerId donor = nodes[0].host.id();
    const auto path = wait(fetch_path(nodes[3].host, donor, run, root));
    REQUIRE(path.has_value());
    CHECK(*path == StatePath{way, 1});
    const auto step = wait(download_step(nodes[3].host, *nodes[3].window, donor, run, root, size));
    REQUIRE_MESSAGE(step.has_value(), (step ? "" : step.error().message));
    CHECK(*step == nodes[0].states->steps[root]);
    const auto short_of = wait(download_step(nodes[3].host, *nodes[3].window, donor, run, root, size - 1));
    REQUIRE_FALSE(short_of.has_value());
    CHECK(mentions(short_of.error(), donor));
    CHECK_FALSE(wait(download_step(nodes[3].host, *nodes[3].window, donor, run, way[0], size)).has_value());
    CHECK_FALSE(wait(fetch_path(nodes[3].host, donor, run, way[0])).has_value());
    CHECK_FALSE(wait(fetch_path(nodes[3].host, donor, digest_of("another run"), root)).has_value());
  }
  // Ways without an end, or with another one; steps that announce more than they give, or nothing.
  const std::vector<Liar> liars = {
      [](Blob, Bytes) -> net::Task<Result<Bytes>> {
        co_return net::pack(sync::PathReply{0, std::vector<Digest>(path_limit + 1), 0});
      },
      [](Blob, Bytes) -> net::Task<Result<Bytes>> { co_return net::pack(sync::PathReply{0, {Digest{}}, 0}); },
      [](Blob, Bytes) -> net::Task<Result<Bytes>> {
        co_return net::pack(sync::PathReply{0, {digest_of("c")}, 1});
      },
  };
  for (const Liar liar : liars) {
    const auto service = lie(nodes[1].host, nullptr, liar);
    const auto path = wait(fetch_path(nodes[3].host, nodes[1].host.id(), run, root));
    REQUIRE_FALSE(path.has_value());
    CHECK(mentions(path.error(), nodes[1].host.id()));
  }
  const std::vector<Liar> step_liars = {
      [](Blob, Bytes) -> net::Task<Result<Bytes>> {
        co_return net::pack(sync::StepReply{0, 100, Bytes(99)});
      },
      [](Blob, Bytes) -> net::Task<Result<Bytes>> { co_return net::pack(sync::StepReply{0, 0, {}}); },
      [](Blob, Bytes) -> net::Task<Result<Bytes>> {
        co_return net::pack(sync::StepReply{0, std::uint64_t{1} << 62, Bytes(DownloadWindow::first_width)});
      },
  };
  for (const Liar liar : step_liars) {
    const auto service = lie(nodes[2].host, nullptr, liar);
    const auto step =
        wait(download_step(nodes[3].host, *nodes[3].window, nodes[2].host.id(), run, root, 1 << 20));
    REQUIRE_FALSE(step.has_value());
    CHECK(mentions(step.error(), nodes[2].host.id()));
  }
}

TEST_CASE_FIXTURE(Swarm, "a member that is hundreds of certificates behind catches up and stays level") {
  add_node();
  add_node();
  serve(nodes[0]);
  extend(nodes[0], 300, keys);
  const PeerId donor = nodes[0].host.id();
  const auto head = wait(fetch_head(nodes[1].host, donor, run));
  REQUIRE(head.has_value());
  CHECK(head->height == 300);
  CHECK(head->head == nodes[0].ledger->chain().head());
  auto appended = wait(catch_up(nodes[1].host, donor, run, *nodes[1].ledger));
  REQUIRE_MESSAGE(appended.has_value(), (appended ? "" : appended.error().message));
  CHECK(*appended == 300);
  CHECK(nodes[1].ledger->chain().head() == nodes[0].ledger->chain().head());
  extend(nodes[0], 3, keys);
  CHECK(*wait(catch_up(nodes[1].host, donor, run, *nodes[1].ledger)) == 3);
  CHECK(*wait(catch_up(nodes[1].host, donor, run, *nodes[1].ledger)) == 0);
  // What was learned is durable.
  const auto again = Ledger::open(*nodes[1].storage, manifest);
  REQUIRE(again.has_value());
  CHECK((*again)->chain().height() == 303);
}

TEST_CASE_FIXTURE(Swarm,
                  "a donor with a forged chain is refused by name, and what was right before it stays") {
  add_node();
  add_node();
  serve(nodes[0]);
  extend(nodes[0], 70, keys);
  // One vote is no quorum of three founders: the forger's own storage is edited behind its ledger's back.
  Bytes forged = certify(next_outcome(nodes[0].ledger->chain(), run), {&keys[0]}).encode();
  REQUIRE(nodes[0].ledger->append(certify(next_outcome(nodes[0].ledger->chain(), run), keys)).has_value());
  REQUIRE(nodes[0].storage->put("ledger/0000000000000046", std::move(forged)).has_value());
  const auto result = wait(catch_up(nodes[1].host, nodes[0].host.id(), run, *nodes[1].ledger));
  REQUIRE_FALSE(result.has_value());
  CHECK(result.error().code == ErrorCode::authentication);
  CHECK(mentions(result.error(), nodes[0].host.id()));
  CHECK(result.error().message.find("no quorum") != std::string::npos);
  CHECK(nodes[1].ledger->chain().height() == 70);
}

namespace {

// One question after another, for as long as the task lives.
net::Task<void> ask_for_evidence(net::Host& host, PeerId donor, RunId run, Digest name, net::Duration pause,
                                 std::size_t& got) {
  while (true) {
    const auto evidence = co_await fetch_evidence(host, donor, run, 1, name);
    if (evidence) ++got;
    co_await net::sleep_for(host.scheduler(), pause);
  }
}

net::Task<void> ask_for_certificates(net::Host& host, PeerId donor, RunId run, std::size_t& got) {
  const sync::Request request{.kind = static_cast<std::uint8_t>(sync::Kind::certificates), .run = run};
  while (true) {
    const auto reply = co_await sync::ask<sync::CertificatesReply>(host, donor, request, 1 << 20);
    if (!reply) co_return;
    got += reply->certificates.size();
  }
}

}  // namespace

TEST_CASE_FIXTURE(Swarm, "a donor gives so many replies in a row, then another one may go on") {
  for (int i = 0; i < 3; ++i) add_node();
  for (std::size_t i = 0; i < 2; ++i) {
    serve(nodes[i]);
    extend(nodes[i], 300, keys);
  }
  Ledger& ledger = *nodes[2].ledger;
  const auto first = wait(catch_up(nodes[2].host, nodes[0].host.id(), run, ledger, 2));
  REQUIRE(first.has_value());
  CHECK(*first == 2 * sync::certificates_per_reply);
  const auto rest = wait(catch_up(nodes[2].host, nodes[1].host.id(), run, ledger));
  REQUIRE_MESSAGE(rest.has_value(), (rest ? "" : rest.error().message));
  CHECK(ledger.chain().height() == 300);
}

TEST_CASE_FIXTURE(Swarm,
                  "whoever asks for the ledger again and again gets it at a pace, a newcomer at once") {
  add_node();
  add_node();
  add_node();
  serve(nodes[0]);
  extend(nodes[0], 64, keys);
  const PeerId donor = nodes[0].host.id();
  std::size_t got = 0;
  for (int i = 0; i < 16; ++i) tasks.spawn(ask_for_certificates(nodes[1].host, donor, run, got));
  scheduler.run_for(net::Duration(20s));
  // Four seconds of the rate at once, and what waits when it is looked at.
  const std::uint64_t pace = sync::requests_per_second;
  CHECK(got <= (20 + 4 + 1) * pace);
  CHECK(got > 10 * pace);
  const net::TimePoint before = scheduler.now();
  REQUIRE(wait(catch_up(nodes[2].host, donor, run, *nodes[2].ledger)).has_value());
  CHECK(nodes[2].ledger->chain().height() == 64);
  CHECK(scheduler.now() - before < 1s);
}

TEST_CASE_FIXTURE(Swarm, "strangers get evidence at a pace of theirs, and members do not wait for them") {
  add_node();
  add_member(keys[0]);
  for (int i = 0; i < 3; ++i) add_node();
  serve(nodes[0]);
  extend(nodes[0], 1, keys);
  const Chain& chain = nodes[0].ledger->chain();
  const Evidence evidence = evidence_against(keys[2], chain, run);
  const Certificate ban = ban_on(evidence, chain, run, {&keys[0], &keys[1]});
  REQUIRE(nodes[0].ledger->append(ban, {}, {evidence}).has_value());

  const PeerId donor = nodes[0].host.id();
  std::size_t strangers = 0;
  std::size_t member = 0;
  for (std::size_t i = 2; i < 5; ++i) {
    tasks.spawn(ask_for_evidence(nodes[i].host, donor, run, evidence.name, 1ms, strangers));
  }
  tasks.spawn(
      ask_for_evidence(nodes[1].host, donor, run, evidence.name, 2 * sync::evidence_interval, member));
  scheduler.run_for(net::Duration(20s));
  const auto paced = static_cast<std::size_t>(20s / sync::evidence_interval_of_strangers);
  CHECK(strangers <= paced + 1);
  CHECK(strangers >= paced / 2);
  CHECK(member >= 35);  // each time that it asked
}

namespace {

constexpr std::size_t part_bytes = 2'000'000;

// A round every ten seconds: its part first, then nothing. How long each part took.
net::Task<void> send_parts(Swarm& swarm, net::Host& host, SyncServer* gives_way, PeerId to,
                           std::vector<net::Duration>& took) {
  for (int round = 0; round < 6; ++round) {
    const net::TimePoint begun = swarm.scheduler.now();
    if (gives_way != nullptr) gives_way->give_way(true);
    auto sent = co_await net::request(host, to, "/test/part", Bytes(part_bytes), 16, 30s);
    if (sent) took.push_back(swarm.scheduler.now() - begun);
    if (gives_way != nullptr) gives_way->give_way(false);
    co_await net::sleep_for(swarm.scheduler, begun + 10s - swarm.scheduler.now());
  }
}

}  // namespace

TEST_CASE("parts of a round that a slow line carries are late less often when downloads give way to them") {
  struct Seen {
    std::size_t late = 0;
    bool arrived = false;  // what newcomers fetch beside them
  };
  const auto run_with = [](bool gives_way) {
    Swarm swarm;
    auto& donor = swarm.add_node({.upload = 1e6});
    auto& member = swarm.add_node();
    const auto state = std::make_shared<const Buffer>(random_state(12'000'000));
    swarm.serve(donor, state);
    const auto parts = net::serve(member.host, "/test/part", part_bytes, 30s,
                                  [](PeerId, Bytes) -> net::Task<Result<Bytes>> { co_return Bytes{1}; });
    std::vector<net::Duration> took;
    swarm.tasks.spawn(
        send_parts(swarm, donor.host, gives_way ? donor.server.get() : nullptr, member.host.id(), took));
    std::array<std::optional<Result<Buffer>>, 2> downloads;
    for (auto& download : downloads) {
      auto& newcomer = swarm.add_node();
      swarm.tasks.spawn(store(download_state(newcomer.host, *newcomer.window, {donor.host.id()}, swarm.run,
                                             state_root(*state), state->size()),
                              download));
    }
    REQUIRE(swarm.scheduler.run_for([&] { return took.size() == 6; }, 120s));
    Seen seen;
    // Alone it takes two seconds.
    for (const net::Duration time : took) seen.late += time > 4s;
    REQUIRE(swarm.scheduler.run_for([&] { return downloads[0] && downloads[1]; }, 120s));
    seen.arrived = downloads[0]->has_value() && downloads[1]->has_value();
    return seen;
  };
  const Seen without = run_with(false);
  const Seen with = run_with(true);
  CHECK(without.late > with.late);
  CHECK(with.late <= 1);
  CHECK(with.arrived);
}

TEST_CASE_FIXTURE(Swarm, "another run's member says so, and garbage gets no answer") {
  add_node();
  add_node();
  serve(nodes[0]);
  const auto head = wait(fetch_head(nodes[1].host, nodes[0].host.id(), digest_of("another run")));
  REQUIRE_FALSE(head.has_value());
  CHECK(head.error().message.find("takes part in another run") != std::string::npos);
  const auto reply =
      wait(net::request(nodes[1].host, nodes[0].host.id(), sync::protocol, Bytes{0xc1}, 1024, 5s));
  CHECK_FALSE(reply.has_value());
  sync::Request past{.kind = static_cast<std::uint8_t>(sync::Kind::certificates), .run = run, .from = ~0ULL};
  const auto none = wait(sync::ask<sync::CertificatesReply>(nodes[1].host, nodes[0].host.id(), past, 1024));
  REQUIRE(none.has_value());
  CHECK(none->certificates.empty());
}
