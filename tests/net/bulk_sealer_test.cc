// Batches that the CPU pool seals while the loop sends: the same bytes in the same order as without it, and
// nothing dangles whatever ends meanwhile.
#include "net/security/bulk_sealer.h"

#include <latch>

#include "net/services/ping.h"
#include "tests/net/network_testing.h"

using namespace testudo;
using namespace testudo::net;
using namespace testudo::net::testing;

namespace {

constexpr const char* kSink = "/test/sink/1";
constexpr const char* kEcho = "/test/echo/1";

// However busy the machine is.
NetworkHostOptions on_pool(Duration patience = 20s) {
  NetworkHostOptions options;
  options.patience_with_pool = patience;
  return options;
}

Bytes pattern(std::uint64_t seed, std::size_t size) {
  Bytes data(size);
  crypto::SeededRng rng(seed);
  rng.fill(data);
  return data;
}

Task<void> echo(std::unique_ptr<Stream> stream) {
  Bytes buffer(256 * 1024);
  while (true) {
    const auto read = co_await stream->read_some(buffer);
    if (!read) co_return;
    if (*read == 0) break;
    const auto written = co_await stream->write(ByteView(buffer).first(*read));
    if (!written) co_return;
  }
  stream->close_write();
}

Task<void> send_all(Stream& stream, ByteView data, std::optional<Result<void>>& result) {
  result = co_await stream.write(data);
  if (*result) stream.close_write();
}

Task<Result<Bytes>> read_all(Stream& stream) {
  Bytes all, buffer(200'000);
  while (true) {
    CO_TRY(const std::size_t size, co_await stream.read_some(buffer));
    if (size == 0) co_return all;
    append(all, ByteView(buffer).first(size));
  }
}

// What comes back for `data`.
Task<Result<Bytes>> through_echo(Host& host, PeerId peer, const Bytes& data) {
  CO_TRY(const auto stream, co_await host.open_stream(peer, kEcho));
  std::optional<Result<void>> sent;
  TaskGroup group(host.scheduler());
  group.spawn(send_all(*stream, data, sent));
  co_return co_await read_all(*stream);
}

// A host that keeps what comes on each stream, and one that writes there.
struct Scene {
  LibuvScheduler scheduler;
  std::unique_ptr<NetworkHost> reader = make_host(scheduler, 1);
  std::unique_ptr<NetworkHost> writer;
  std::vector<Bytes> got;
  bool ended = false;
  PingService ping_service{*reader};

  explicit Scene(const NetworkHostOptions& options = on_pool()) : writer(make_host(scheduler, 2, options)) {
    reader->set_handler(kSink,
                        [this](std::unique_ptr<Stream> stream) { return keep_all(std::move(stream)); });
    REQUIRE(wait_for(scheduler, writer->connect(reader->id(), reader->addresses())).has_value());
  }
  Task<void> keep_all(std::unique_ptr<Stream> stream) {
    const std::size_t number = got.size();
    got.emplace_back();
    Bytes buffer(100'000);
    while (true) {
      const auto size = co_await stream->read_some(buffer);
      ended = !size || *size == 0;
      if (ended) co_return;
      append(got[number], ByteView(buffer).first(*size));
    }
  }
  std::unique_ptr<Stream> open() {
    auto stream = wait_for(scheduler, writer->open_stream(reader->id(), kSink));
    REQUIRE(stream.has_value());
    return std::move(*stream);
  }
  // Until the pool has sealed some more.
  bool pool_seals(std::uint64_t more) {
    const std::uint64_t target = writer->statistics().sealed_on_pool + more;
    return run_until(scheduler, [&] { return writer->statistics().sealed_on_pool >= target; }, 60s);
  }
};

}  // namespace

TEST_CASE("many connections send megabytes both ways at once through the pool, unchanged") {
  LibuvScheduler scheduler;
  auto server = make_host(scheduler, 1, on_pool());
  server->set_handler(kEcho, echo);
  constexpr std::size_t clients = 4, streams = 3, size = 3'000'000;
  std::vector<std::unique_ptr<NetworkHost>> hosts;
  std::vector<Bytes> data;
  std::vector<std::optional<Result<Bytes>>> back(clients * streams);
  {
    TaskGroup group(scheduler);
    for (std::size_t i = 0; i < clients; ++i) {
      hosts.push_back(make_host(scheduler, static_cast<std::uint8_t>(10 + i), on_pool()));
      REQUIRE(wait_for(scheduler, hosts[i]->connect(server->id(), server->addresses())).has_value());
      for (std::size_t j = 0; j < streams; ++j) data.push_back(pattern(i * streams + j, size));
    }
    for (std::size_t i = 0; i < back.size(); ++i) {
      group.spawn(keep(through_echo(*hosts[i / streams], server->id(), data[i]), back[i]));
    }
    REQUIRE(run_until(scheduler, [&] { return group.size() == 0; }));
  }
  for (std::size_t i = 0; i < back.size(); ++i) {
    REQUIRE(back[i]->has_value());
    CHECK(**back[i] == data[i]);
  }
  CHECK(hosts[0]->statistics().sealed_on_pool > 0);
}

namespace {

Task<Result<void>> write_mixed(Stream& stream, const Bytes& data, const std::vector<std::size_t>& sizes) {
  ByteView rest = data;
  for (const std::size_t size : sizes) {
    CO_TRY_VOID(co_await stream.write(rest.first(size)));
    rest = rest.subspan(size);
  }
  stream.close_write();
  co_return Result<void>();
}

}  // namespace

TEST_CASE("small messages between batches keep their place, on their stream and on others") {
  Scene scene;
  crypto::SeededRng rng(7);
  std::vector<std::size_t> sizes;
  std::size_t total = 0;
  for (int i = 0; i < 60; ++i) {
    sizes.push_back(
        static_cast<std::size_t>(i % 3 == 0 ? 400'000 + rng.below(900'000) : 1 + rng.below(40'000)));
    total += sizes.back();
  }
  const Bytes data = pattern(1, total);
  const auto stream = scene.open();
  std::optional<Result<void>> written;
  TaskGroup group(scene.scheduler);
  group.spawn(keep(write_mixed(*stream, data, sizes), written));
  for (int i = 0; i < 20; ++i)
    CHECK(wait_for(scene.scheduler, ping(*scene.writer, scene.reader->id())).has_value());
  REQUIRE(run_until(scene.scheduler, [&] { return scene.ended; }));
  CHECK(scene.got.at(0) == data);
  CHECK(scene.writer->statistics().sealed_on_pool > 0);
}

TEST_CASE("a writer that is cancelled while the pool reads its bytes has them back at once") {
  Scene scene;
  const Bytes data = pattern(2, 16'000'000);
  std::uint64_t cancelled = 0;
  // On a machine with other work the loop may have sealed all of it before the pool has sealed so many
  // batches.
  for (int attempt = 0; attempt < 100 && cancelled < 8; ++attempt) {
    CAPTURE(cancelled);
    auto stream = scene.open();
    Bytes lent = data;
    std::optional<Result<void>> sent;
    scene.ended = false;
    {
      TaskGroup group(scene.scheduler);
      group.spawn(send_all(*stream, lent, sent));
      const std::uint64_t target = scene.writer->statistics().sealed_on_pool + 1 + cancelled;
      REQUIRE(run_until(
          scene.scheduler,
          [&] { return sent.has_value() || scene.writer->statistics().sealed_on_pool >= target; }, 60s));
    }
    std::ranges::fill(lent, std::uint8_t{0});  // nobody may read it any more
    if (!sent) {
      stream.reset();
      ++cancelled;
    }
    REQUIRE(run_until(scene.scheduler, [&] { return scene.ended; }));
    const Bytes& got = scene.got.back();
    REQUIRE(!got.empty());
    REQUIRE(got.size() <= data.size());
    CHECK(std::ranges::equal(got, ByteView(data).first(got.size())));
  }
  CHECK(cancelled == 8);
  CHECK(wait_for(scene.scheduler, ping(*scene.writer, scene.reader->id())).has_value());
}

TEST_CASE("a connection that is closed mid-batch ends its writers with the error that names the peer") {
  for (const bool by_us : {true, false}) {
    CAPTURE(by_us);
    Scene scene;
    const auto stream = scene.open();
    const Bytes data = pattern(3, 64'000'000);
    std::optional<Result<void>> sent;
    TaskGroup group(scene.scheduler);
    group.spawn(send_all(*stream, data, sent));
    REQUIRE(scene.pool_seals(3));
    (by_us ? scene.writer : scene.reader)->disconnect((by_us ? scene.reader : scene.writer)->id());
    REQUIRE(run_until(scene.scheduler, [&] { return sent.has_value() && scene.ended; }));
    REQUIRE_FALSE(sent->has_value());
    CHECK(sent->error().message.find(scene.reader->id().to_text()) != std::string::npos);
    CHECK(std::ranges::equal(scene.got.at(0), ByteView(data).first(scene.got[0].size())));
  }
}

TEST_CASE("a pool that is busy holds nobody up") {
  Scene scene(on_pool(BulkSealer::usual_patience));
  std::latch end(1);
  for (int i = 0; i < 8; ++i) scene.scheduler.offload([&end] { end.wait(); }, [] {});
  const auto stream = scene.open();
  const Bytes data = pattern(4, 20'000'000);
  std::optional<Result<void>> sent;
  TaskGroup group(scene.scheduler);
  group.spawn(send_all(*stream, data, sent));
  const bool arrived = run_until(scene.scheduler, [&] { return scene.ended; });
  end.count_down();
  REQUIRE(arrived);
  CHECK(scene.got.at(0) == data);
  CHECK(scene.writer->statistics().sealed_on_pool == 0);
}

namespace {

// Passes bytes on between two sockets, and turns one bit of those that go to the second.
struct Meddler {
  struct End : TcpSocket::Sink {
    std::unique_ptr<TcpSocket> socket;
    End* other = nullptr;
    std::uint64_t passed = 0, flip = 0;
    Bytes early;
    std::size_t on_bytes(MutableByteView bytes) override {
      if (flip > passed && flip - passed <= bytes.size()) bytes[flip - passed - 1] ^= 0x10;
      passed += bytes.size();
      if (other->socket && other->socket->is_open()) {
        other->socket->output().append(bytes);
      } else {
        append(early, bytes);
      }
      return bytes.size();
    }
    void on_writable() override {}
    void on_closed(Error) override {
      if (other->socket) other->socket->close();
    }
  };
  TcpTransport transport;
  End dialler, server;
  std::unique_ptr<TcpListener> listener;
  TaskGroup tasks;
  Multiaddr target;

  Meddler(LibuvScheduler& scheduler, Multiaddr to, std::uint64_t flip)
      : transport(scheduler), tasks(scheduler), target(std::move(to)) {
    dialler.other = &server;
    server.other = &dialler;
    dialler.flip = flip;
    auto made = TcpListener::listen(transport, *Multiaddr::from_text("/ip4/127.0.0.1/tcp/0"),
                                    [this](std::unique_ptr<TcpSocket> socket) {
                                      dialler.socket = std::move(socket);
                                      dialler.socket->start(dialler);
                                      tasks.spawn(reach_server());
                                    });
    REQUIRE(made.has_value());
    listener = std::move(*made);
  }
  Task<void> reach_server() {
    auto connected = co_await transport.connect(target, 5s);
    if (!connected) co_return;
    server.socket = std::move(*connected);
    server.socket->start(server);
    server.socket->output().append(dialler.early);
  }
};

}  // namespace

TEST_CASE("a bit that is turned within a batch ends the connection, and nothing behind it is believed") {
  for (const std::uint64_t flip : {2'000'000u, 2'300'017u, 5'000'000u}) {
    CAPTURE(flip);
    LibuvScheduler scheduler;
    std::vector<std::string> events;
    NetworkHostOptions options;
    options.on_event = [&events](const std::string& line) { events.push_back(line); };
    auto reader = make_host(scheduler, 1, options);
    auto writer = make_host(scheduler, 2, on_pool());
    Bytes got;
    bool ended = false;
    struct Keep {
      static Task<void> all(std::unique_ptr<Stream> stream, Bytes& got, bool& ended) {
        Bytes buffer(100'000);
        while (true) {
          const auto size = co_await stream->read_some(buffer);
          ended = !size || *size == 0;
          if (ended) co_return;
          append(got, ByteView(buffer).first(*size));
        }
      }
    };
    reader->set_handler(kSink,
                        [&](std::unique_ptr<Stream> s) { return Keep::all(std::move(s), got, ended); });
    Meddler meddler(scheduler, reader->addresses().front(), flip);
    REQUIRE(wait_for(scheduler, writer->connect(reader->id(), {meddler.listener->address()})).has_value());
    auto stream = wait_for(scheduler, writer->open_stream(reader->id(), kSink));
    REQUIRE(stream.has_value());
    const Bytes data = pattern(flip, 20'000'000);
    std::optional<Result<void>> sent;
    TaskGroup group(scheduler);
    group.spawn(send_all(**stream, data, sent));
    REQUIRE(run_until(scheduler, [&] { return sent.has_value() && ended; }));
    CHECK_FALSE(sent->has_value());
    CHECK(got.size() < flip);
    CHECK(std::ranges::equal(got, ByteView(data).first(got.size())));
    REQUIRE(events.size() == 1);
    CHECK(events[0].find(writer->id().to_text()) != std::string::npos);
    CHECK(events[0].find("does not decrypt") != std::string::npos);
  }
}
