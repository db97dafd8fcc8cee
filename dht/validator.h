// Validators: what a value under a namespace must be. One instance serves one Dht. Loop thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "crypto/peer_id.h"
#include "net/async/scheduler.h"

namespace testudo::dht {

using net::UnixTime;

// Milliseconds since 1970, in the year 2248: what is later than that cannot be told apart from now in the
// nanoseconds that durations are counted in.
inline constexpr std::uint64_t far_future = 1ULL << 43;

class Validator {
 public:
  virtual ~Validator() = default;
  // Whether the value may stand under the key. Its error names what is wrong.
  virtual Result<void> validate(std::string_view key, ByteView value, UnixTime now) = 0;
  // The index of the best of valid values (at least one).
  virtual std::size_t select(std::string_view key, std::span<const Bytes> values) = 0;
  // What two valid values make together. Nothing: values of this namespace are not merged but selected.
  virtual std::optional<Bytes> merge(std::string_view key, ByteView a, ByteView b, UnixTime now);
  // One valid value is as good as any other: a reader may stop at the first.
  virtual bool first_is_enough() const { return false; }
  virtual bool merges() const { return false; }
};

// `/testudo/manifest/<hex digest>`: whatever has that BLAKE2b-256.
class ManifestValidator final : public Validator {
 public:
  static constexpr std::string_view prefix = "/testudo/manifest/";
  static std::string key_of(ByteView value);
  Result<void> validate(std::string_view key, ByteView value, UnixTime now) override;
  std::size_t select(std::string_view key, std::span<const Bytes> values) override;
  bool first_is_enough() const override { return true; }
};

// `/testudo/value/<peer id>/NAME`: a value that only the peer in the key can write. The higher sequence
// number wins; of equal ones the larger bytes, so that all readers agree.
struct OwnedValue {
  static constexpr std::string_view prefix = "/testudo/value/";
  static std::string key_of(const crypto::PeerId& owner, std::string_view name);
  // Signed for that very key.
  static Bytes make(const crypto::KeyPair& owner, std::string_view key, std::uint64_t sequence,
                    UnixTime expires, Bytes payload);
  // The payload and its sequence number, if the record holds.
  static Result<OwnedValue> open(std::string_view key, ByteView record, UnixTime now);

  std::uint64_t sequence = 0;
  UnixTime expires;
  Bytes payload;
};
class OwnedValueValidator final : public Validator {
 public:
  Result<void> validate(std::string_view key, ByteView value, UnixTime now) override;
  std::size_t select(std::string_view key, std::span<const Bytes> values) override;
};

}  // namespace testudo::dht
