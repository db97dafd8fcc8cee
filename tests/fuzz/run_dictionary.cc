// A run's dictionary: parsing of anything, and the laws of merging: commutative, associative, idempotent, and
// what comes out is valid if what went in was.
#include "dht/run_dictionary.h"

#include "tests/fuzz/fuzz.h"

namespace testudo::fuzz {
namespace {

using dht::RunDictionary, dht::RunEntry;

const dht::UnixTime now{std::chrono::hours(500'000)};
const Digest run_id{7};

// Signed entries, few enough to be made once.
const std::vector<RunEntry>& entries() {
  static const std::vector<RunEntry> all = [] {
    std::vector<RunEntry> made;
    for (std::uint8_t peer = 1; peer <= 6; ++peer) {
      for (std::uint64_t sequence : {1u, 2u}) {
        for (int hours : {-1, 1, 24, 25}) {
          made.push_back(
              RunEntry::make(key(peer), run_id, sequence, now + std::chrono::hours(hours),
                             Bytes(static_cast<std::size_t>(peer) * 3, static_cast<std::uint8_t>(hours))));
        }
      }
    }
    return made;
  }();
  return all;
}

Bytes dictionary(Script& script) {
  RunDictionary made(run_id);
  for (std::size_t count = script.below(8); count-- > 0;) {
    // Some expired or too far ahead: added at a time at which they count.
    const RunEntry& entry = entries()[script.below(entries().size())];
    made.add(entry, entry.expires - std::chrono::hours(1));
  }
  return made.encode();
}

void run(ByteView input) {
  static dht::RunDictionaryValidator validator;
  const std::string key_text = RunDictionary::key_of(run_id);
  if (const auto parsed = RunDictionary::parse(input)) {
    TESTUDO_CHECK(parsed->size() <= RunDictionary::max_entries);
    if (validator.validate(key_text, input, now)) {
      const auto merged = validator.merge(key_text, input, input, now);
      TESTUDO_CHECK(merged && validator.validate(key_text, *merged, now).has_value());
    }
  }
  if (const auto parsed_run = RunDictionary::run_of(as_text(input))) {
    TESTUDO_CHECK(RunDictionary::run_of(RunDictionary::key_of(*parsed_run)) == *parsed_run);
  }

  Script script(input);
  const Bytes a = dictionary(script), b = dictionary(script), c = dictionary(script);
  const auto merge = [&](ByteView x, ByteView y) { return *validator.merge(key_text, x, y, now); };
  const Bytes ab = merge(a, b);
  TESTUDO_CHECK(ab == merge(b, a));
  TESTUDO_CHECK(merge(ab, c) == merge(a, merge(b, c)));
  TESTUDO_CHECK(merge(ab, ab) == ab && merge(ab, a) == ab);
  for (const Bytes& one : {a, ab}) TESTUDO_CHECK(validator.validate(key_text, one, now).has_value());
  // Anything beside it changes nothing that was there, or makes it newer.
  const auto before = *RunDictionary::parse(ab);
  const auto with = RunDictionary::parse(merge(ab, input));
  TESTUDO_CHECK(with && with->size() >= before.size());
}

std::vector<Bytes> seeds() {
  const Bytes choices{7, 1, 9, 17, 25, 33, 41, 4};
  Script script(choices);
  std::vector<Bytes> out{dictionary(script), to_bytes(RunDictionary::key_of(run_id))};
  out.push_back({3, 1, 2, 3, 2, 9, 5, 3, 40, 41, 42});
  return out;
}

const Registered target({"run_dictionary", run, seeds, 20});

}  // namespace
}  // namespace testudo::fuzz
