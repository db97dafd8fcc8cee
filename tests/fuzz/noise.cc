// The upgrade of a connection (multistream, Noise XX, muxer) and the frames after it: raw bytes against
// either role, and two sides with somebody in between who changes, drops and repeats bytes. Nobody is done
// with somebody else than its peer, and a frame opens only as it was sealed. (Ephemeral keys come from the
// system, so that two runs of an input differ in their ciphertext.)
#include "net/security/upgrade.h"
#include "tests/fuzz/fuzz.h"

namespace testudo::fuzz {
namespace {

using crypto::NoiseRole;
using net::Upgrade;

struct Side {
  Upgrade upgrade;
  Bytes input = {};
  bool failed = false;

  // Takes what it can of its input. A failed side reads no more, as a connection would not.
  bool advance(std::size_t piece) {
    if (failed || upgrade.done() || input.empty()) return false;
    const auto taken = upgrade.receive(MutableByteView(input).first(std::min(piece, input.size())));
    if (!taken) {
      failed = true;
      return false;
    }
    TESTUDO_CHECK(*taken <= input.size());
    input.erase(input.begin(), input.begin() + static_cast<std::ptrdiff_t>(*taken));
    return *taken > 0;
  }
};

// Of three hosts; made once, as a host does.
const std::vector<net::NoiseIdentity>& identities() {
  static const std::vector<net::NoiseIdentity> all = [] {
    std::vector<net::NoiseIdentity> made;
    for (std::uint8_t number = 1; number <= 3; ++number) made.emplace_back(key(number));
    return made;
  }();
  return all;
}

void check_frames(net::FrameSealer& sealer, net::FrameOpener& opener, Script& script) {
  for (int i = 0; i < 4 && !script.done(); ++i) {
    const Bytes plain = to_bytes(script.bytes(script.below(300)));
    const std::size_t head = script.below(plain.size() + 1);
    Bytes sealed;
    TESTUDO_CHECK(
        sealer.append_frame(sealed, ByteView(plain).first(head), ByteView(plain).subspan(head)).has_value());
    const std::uint8_t flip = script.byte();
    const std::size_t at = script.below(sealed.size());
    sealed[at] ^= flip;
    // Whole, or its first bytes before the others, which go elsewhere.
    const std::uint8_t way = script.byte();
    Bytes result;
    bool opened = false;
    if (way % 2 == 0) {
      const auto frame = opener.open_frame(sealed);
      opened = frame && *frame;
      if (opened) result = to_bytes((*frame)->plain);
    } else if (const auto frame = net::FrameOpener::find_frame(sealed); frame && *frame) {
      const std::size_t first = std::min<std::size_t>(way / 2, (*frame)->plain_size());
      const auto begin = opener.open_head(**frame, first);
      TESTUDO_CHECK(begin.has_value());
      result = to_bytes(*begin);
      Bytes target(at % ((*frame)->plain_size() - first + 1));
      const auto rest = opener.open_rest(**frame, first, target);
      opened = rest.has_value();
      append(result, target);
      if (opened) append(result, *rest);
    }
    TESTUDO_CHECK(opened == (flip == 0));
    if (!opened) return;
    TESTUDO_CHECK(result == plain);
  }
}

void talk(Script& script) {
  const auto &alice = identities()[0], &bob = identities()[1];
  const std::uint8_t options = script.byte();
  const auto expected =
      (options & 4) != 0 ? std::optional(key((options & 8) != 0 ? 3 : 2).peer_id()) : std::nullopt;
  Side dialler{Upgrade(alice, {NoiseRole::initiator, expected, (options & 1) == 0})};
  Side listener{Upgrade(bob, {NoiseRole::responder, std::nullopt, (options & 2) == 0})};
  bool touched = false;
  for (int idle = 0, turns = 0; idle < 2 && turns < 2000; ++turns) {
    append(listener.input, dialler.upgrade.take_output());
    append(dialler.input, listener.upgrade.take_output());
    Bytes& victim = script.flag() ? dialler.input : listener.input;
    if (const std::uint8_t what = script.byte(); what > 200 && !victim.empty()) {
      touched = true;
      const std::size_t at = script.below(victim.size());
      const auto place = victim.begin() + static_cast<std::ptrdiff_t>(at);
      if (what > 240) {
        victim.erase(place);
      } else if (what > 220) {
        victim.insert(place, script.byte());
      } else {
        victim[at] ^= static_cast<std::uint8_t>(1 + script.below(255));
      }
    }
    const std::size_t piece = 1 + script.below(400) * 8;
    const bool heard = listener.advance(piece);
    const bool moved = dialler.advance(piece) || heard;
    // A piece that is too small is tried again with all there is.
    idle = moved || listener.advance(65'536) || dialler.advance(65'536) ? 0 : idle + 1;
  }
  if (!touched && (options & 12) != 12) TESTUDO_CHECK(dialler.upgrade.done() && listener.upgrade.done());
  if ((options & 12) == 12) TESTUDO_CHECK(!dialler.upgrade.done());
  if (!dialler.upgrade.done() || !listener.upgrade.done()) return;
  auto ours = dialler.upgrade.take();
  auto theirs = listener.upgrade.take();
  TESTUDO_CHECK(ours.peer == key(2).peer_id() && theirs.peer == key(1).peer_id());
  if (touched) return;  // what was added behind the upgrade may stand before the first frame
  if (dialler.input.empty() && listener.input.empty()) {
    check_frames(ours.sealer, theirs.opener, script);
    check_frames(theirs.sealer, ours.opener, script);
  }
}

void run(ByteView input) {
  Script script(input);
  const std::uint8_t mode = script.byte();
  if (mode % 4 != 0) return talk(script);
  // A stranger's bytes; it has no key that we would believe.
  Side side{Upgrade(identities()[0],
                    {(mode & 4) != 0 ? NoiseRole::initiator : NoiseRole::responder, std::nullopt, true})};
  side.input = to_bytes(script.rest());
  while (side.advance(side.input.size())) {
  }
  TESTUDO_CHECK(!side.upgrade.done());
  TESTUDO_CHECK(side.upgrade.take_output().size() <= 64 * 1024);
}

std::vector<Bytes> seeds() {
  std::vector<Bytes> out;
  // What a dialler says first, and what a listener answers, as raw bytes of a stranger.
  Upgrade dialler(identities()[1], {NoiseRole::initiator, std::nullopt, true});
  Upgrade listener(identities()[2], {NoiseRole::responder, std::nullopt, true});
  Bytes first{0};
  append(first, dialler.take_output());
  out.push_back(first);
  Bytes second{4};
  append(second, listener.take_output());
  Bytes words = to_bytes(ByteView(first).subspan(1));
  (void)listener.receive(words);
  append(second, listener.take_output());
  out.push_back(second);
  for (std::uint8_t options = 0; options < 16; ++options) out.push_back({1, options, 0, 0, 0, 9});
  Bytes with_frames{1, 0};
  for (int i = 0; i < 200; ++i) with_frames.push_back(static_cast<std::uint8_t>(i % 90));
  out.push_back(with_frames);
  return out;
}

const Registered target({"noise", run, seeds, 20});

}  // namespace
}  // namespace testudo::fuzz
