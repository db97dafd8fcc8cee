#include "training/round/state.h"

#include <bit>
#include <cmath>
#include <cstring>

#include "crypto/merkle.h"

namespace testudo::training {

static_assert(std::endian::native == std::endian::little, "floats are stored as they lie in memory");

namespace {
constexpr std::string_view magic = "testudo state 1\n";
constexpr std::size_t header_bytes = 16 + 4 * 8;
// An optimizer keeps at most this many vectors of the parameters' size (Adam: two).
constexpr std::size_t optimizer_vectors = 2;

ByteView raw(std::span<const float> values) {
  return {reinterpret_cast<const std::uint8_t*>(values.data()), values.size_bytes()};
}
}  // namespace

std::size_t TrainingState::max_bytes(std::size_t parameter_count) {
  return header_bytes + (2 + optimizer_vectors) * parameter_count * sizeof(float);
}

Bytes TrainingState::encode() const {
  Bytes bytes;
  bytes.reserve(header_bytes + (parameters.size() + optimizer.size() + aggregate.size()) * sizeof(float));
  append(bytes, as_bytes(magic));
  append_be(bytes, round.value(), 8);
  append_be(bytes, parameters.size(), 8);
  append_be(bytes, optimizer.size(), 8);
  append_be(bytes, aggregate.size(), 8);
  append(bytes, raw(parameters));
  append(bytes, raw(optimizer));
  append(bytes, raw(aggregate));
  return bytes;
}

Result<TrainingState> TrainingState::decode(ByteView bytes, std::size_t parameter_count) {
  if (bytes.size() < header_bytes || as_text(bytes.first(magic.size())) != magic) {
    return fail(ErrorCode::corrupt, "not a training state");
  }
  const auto field = [&](std::size_t i) { return read_be(bytes.subspan(magic.size() + 8 * i, 8)); };
  const std::uint64_t parameters = field(1);
  const std::uint64_t optimizer = field(2);
  const std::uint64_t aggregate = field(3);
  if (parameters != parameter_count || optimizer > optimizer_vectors * parameter_count ||
      (aggregate != 0 && aggregate != parameter_count) ||
      bytes.size() != header_bytes + (parameters + optimizer + aggregate) * sizeof(float)) {
    return fail(ErrorCode::corrupt, "a training state of another size than the run's");
  }
  TrainingState state;
  state.round = swarm::RoundNumber(field(0));
  ByteView rest = bytes.subspan(header_bytes);
  const auto take = [&rest](std::vector<float>& out, std::uint64_t count) {
    out.resize(static_cast<std::size_t>(count));
    if (count > 0) std::memcpy(out.data(), rest.data(), out.size() * sizeof(float));
    rest = rest.subspan(out.size() * sizeof(float));
    for (float value : out) {
      if (!std::isfinite(value)) return false;
    }
    return true;
  };
  if (!take(state.parameters, parameters) || !take(state.optimizer, optimizer) ||
      !take(state.aggregate, aggregate)) {
    return fail(ErrorCode::corrupt, "a training state with values that are not finite");
  }
  return state;
}

Digest parameters_digest(std::span<const float> parameters) { return crypto::tree_hash(raw(parameters)); }

}  // namespace testudo::training
