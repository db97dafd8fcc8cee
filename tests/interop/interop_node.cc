// interop_node: our node as the js-libp2p harness expects it (README.md).
//
//   interop_node [--listen MULTIADDR]... [--dial MULTIADDR]
//
// Prints `listening <multiaddr>/p2p/<id>` per address and runs until SIGTERM or SIGINT. With --dial it also
// connects there, pings and identifies; it ends with 1 if that fails.
#include <array>
#include <csignal>
#include <cstdio>
#include <string>
#include <vector>

#include "net/async/combinators.h"
#include "net/host/network_host.h"
#include "net/services/identify.h"
#include "net/services/ping.h"

using namespace testudo;
using namespace testudo::net;

namespace {

constexpr std::size_t kBuffer = 256 * 1024;

Task<void> echo(std::unique_ptr<Stream> stream) {
  Bytes buffer(kBuffer);
  while (true) {
    auto read = co_await stream->read_some(buffer);
    if (!read) co_return;
    if (*read == 0) break;
    auto written = co_await stream->write(ByteView(buffer).first(*read));
    if (!written) co_return;
  }
  stream->close_write();
}

// How many bytes came until the end.
Task<Result<std::uint64_t>> drain(Stream& stream) {
  Bytes buffer(kBuffer);
  std::uint64_t total = 0;
  while (true) {
    auto read = co_await stream.read_some(buffer);
    if (!read) co_return fail(std::move(read).error());
    if (*read == 0) co_return total;
    total += *read;
  }
}

Task<void> sink(std::unique_ptr<Stream> stream) {
  auto total = co_await drain(*stream);
  if (!total) co_return;
  Bytes answer;
  append_be(answer, *total, 8);
  auto written = co_await stream->write(answer);
  if (written) stream->close_write();
}

Task<void> perf(std::unique_ptr<Stream> stream) {
  std::array<std::uint8_t, 8> header{};
  auto read = co_await read_exactly(*stream, header);
  if (!read) co_return;
  auto uploaded = co_await drain(*stream);
  if (!uploaded) co_return;
  const Bytes chunk(kBuffer);
  for (std::uint64_t left = read_be(header); left > 0;) {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left, chunk.size()));
    auto written = co_await stream->write(ByteView(chunk).first(size));
    if (!written) co_return;
    left -= size;
  }
  stream->close_write();
}

Task<void> run(NetworkHost& host, std::vector<std::string> listen, std::string dial, bool& failed) {
  const auto give_up = [&](const Error& error) {
    std::fprintf(stderr, "interop_node: %s\n", error.message.c_str());
    failed = true;
  };
  for (const auto& text : listen) {
    auto address = Multiaddr::from_text(text);
    if (!address) co_return give_up(address.error());
    auto bound = co_await host.listen(*address);
    if (!bound) co_return give_up(bound.error());
    std::printf("listening %s\n", bound->with_peer_id(host.id()).to_text().c_str());
  }
  std::fflush(stdout);
  if (dial.empty()) co_return;
  auto target = parse_peer_address(dial);
  if (!target) co_return give_up(target.error());
  auto connected = co_await host.connect(target->id, target->addresses);
  if (!connected) co_return give_up(connected.error());
  auto round_trip = co_await ping(host, target->id);
  if (!round_trip) co_return give_up(round_trip.error());
  auto info = co_await identify(host, target->id);
  if (!info) co_return give_up(info.error());
  std::printf("dialled %s agent=%s ping=%.2fms\n", target->id.to_text().c_str(), info->agent.c_str(),
              1000 * seconds(*round_trip));
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> listen;
  std::string dial;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string option = argv[i];
    if (option == "--listen") {
      listen.emplace_back(argv[i + 1]);
    } else if (option == "--dial") {
      dial = argv[i + 1];
    } else {
      std::fprintf(stderr, "interop_node: unknown option %s\n", option.c_str());
      return 2;
    }
  }
  if (listen.empty()) listen.emplace_back("/ip4/127.0.0.1/tcp/0");

  LibuvScheduler scheduler;
  crypto::SystemRng rng;
  NetworkHostOptions options;
  options.on_event = [](const std::string& line) {
    std::fprintf(stderr, "interop_node: %s\n", line.c_str());
  };
  auto host = make_network_host(scheduler, crypto::KeyPair::generate(rng), std::move(options));
  const PingService ping_service(*host);
  host->set_handler("/interop/echo/1.0.0", echo);
  host->set_handler("/interop/sink/1.0.0", sink);
  host->set_handler("/perf/1.0.0", perf);
  const IdentifyService identify_service(*host);
  bool failed = false;
  bool stopped = false;
  const auto stop = [&] {
    stopped = true;
    scheduler.stop();
  };
  scheduler.on_signal(SIGTERM, stop);
  scheduler.on_signal(SIGINT, stop);
  TaskGroup tasks(scheduler);
  tasks.spawn(run(*host, listen, dial, failed));
  scheduler.run_until([&] { return stopped || failed; });
  return failed ? 1 : 0;
}
