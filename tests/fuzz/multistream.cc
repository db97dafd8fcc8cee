// multistream-select, both roles: bytes of a stranger in pieces of any size, and two machines that talk
// through one that changes, cuts and repeats.
#include "net/negotiation/multistream.h"

#include <optional>

#include "tests/fuzz/fuzz.h"

namespace testudo::fuzz {
namespace {

using net::Multistream;

bool known(std::string_view name) { return name == "/yamux/1.0.0" || name == "/noise"; }

// Feeds everything in pieces that the script chooses; gives what was not taken, or nothing after an error.
std::optional<Bytes> feed(Multistream& machine, Bytes input, Script& script) {
  std::size_t at = 0;
  while (at < input.size() && !machine.done()) {
    const std::size_t size = std::min(1 + script.below(64), input.size() - at);
    const auto taken = machine.receive(ByteView(input).subspan(at, size));
    if (!taken) return std::nullopt;
    TESTUDO_CHECK(*taken <= size && (*taken == size || machine.done()));
    if (!machine.done()) TESTUDO_CHECK(machine.wanted() >= 1 && machine.wanted() <= Multistream::max_message);
    at += *taken;
  }
  return Bytes(input.begin() + static_cast<std::ptrdiff_t>(at), input.end());
}

void run(ByteView input) {
  Script script(input);
  const std::uint8_t mode = script.byte();
  if (mode % 3 == 0) {
    Multistream listener = Multistream::answer(known);
    const auto rest = feed(listener, to_bytes(script.rest()), script);
    if (rest && listener.done()) TESTUDO_CHECK(known(listener.protocol()));
    // What is written stays in proportion to what came: a header, and an answer to each of few proposals.
    TESTUDO_CHECK(listener.take_output().size() <= 20 + 17 * Multistream::max_message);
  } else if (mode % 3 == 1) {
    Multistream dialler = Multistream::propose("/noise");
    const auto rest = feed(dialler, to_bytes(script.rest()), script);
    if (rest && dialler.done()) TESTUDO_CHECK(dialler.protocol() == "/noise");
  } else {
    // Untouched, they agree or both say no, whatever the pieces, and leave what follows alone.
    const std::string protocol = script.flag() ? "/noise" : "/other";
    Multistream dialler = Multistream::propose(protocol);
    Multistream listener = Multistream::answer(known);
    Bytes to_listener = dialler.take_output();
    append(to_listener, as_bytes("what follows"));
    const auto rest = feed(listener, to_listener, script);
    if (!known(protocol)) {
      TESTUDO_CHECK(!listener.done());
      return;
    }
    TESTUDO_CHECK(rest && listener.done() && as_text(*rest) == "what follows");
    TESTUDO_CHECK(feed(dialler, listener.take_output(), script) && dialler.done());
  }
}

std::vector<Bytes> seeds() {
  std::vector<Bytes> out;
  Bytes bytes{0};
  append(bytes, Multistream::propose("/noise").take_output());
  out.push_back(bytes);
  bytes = {0};
  append(bytes, Multistream::propose("/unknown").take_output());
  append(bytes, Multistream::propose("/yamux/1.0.0").take_output());
  out.push_back(bytes);
  Multistream listener = Multistream::answer(known);
  (void)listener.receive(Multistream::propose("/noise").take_output());
  bytes = {1};
  append(bytes, listener.take_output());
  out.push_back(bytes);
  out.push_back({2, 1, 0, 5, 63, 1});
  return out;
}

const Registered target({"multistream", run, seeds});

}  // namespace
}  // namespace testudo::fuzz
