#include "training/round/state.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "crypto/base/check.h"
#include "crypto/merkle.h"

namespace testudo::training {

static_assert(std::endian::native == std::endian::little, "floats are stored as they lie in memory");

namespace {

constexpr std::string_view magic = "testudo state 1\n";
constexpr std::size_t header_bytes = 16 + 4 * 8;
static_assert(header_bytes % alignof(float) == 0);

Bytes header_of(swarm::RoundNumber round, const TrainingState::Sizes& sizes) {
  Bytes header = to_bytes(magic);
  append_be(header, round.value(), 8);
  append_be(header, sizes.parameters, 8);
  append_be(header, sizes.optimizer, 8);
  append_be(header, sizes.aggregate, 8);
  return header;
}

}  // namespace

std::size_t TrainingState::encoded_bytes(const Sizes& sizes) {
  return header_bytes + (sizes.parameters + sizes.optimizer + sizes.aggregate) * sizeof(float);
}

TrainingState::TrainingState(swarm::RoundNumber round, const Sizes& sizes, Buffer memory)
    : round_(round), sizes_(sizes), bytes_(std::move(memory)) {
  TESTUDO_CHECK(bytes_.size() == encoded_bytes(sizes));
  std::ranges::copy(header_of(round, sizes), bytes_.begin());
}

std::span<const float> TrainingState::vector(std::size_t begin, std::size_t size) const {
  return {reinterpret_cast<const float*>(bytes_.data() + header_bytes) + begin, size};
}

Result<TrainingState> TrainingState::decode(Buffer bytes, const Sizes& sizes) {
  if (bytes.size() < header_bytes) return fail(ErrorCode::corrupt, "not a training state");
  Sizes found = sizes;
  if (bytes.size() != encoded_bytes(sizes)) found.aggregate = 0;
  const ByteView header = ByteView(bytes).first(header_bytes);
  const swarm::RoundNumber round(read_be(header.subspan(magic.size(), 8)));
  if (!equal(header, header_of(round, found)) || bytes.size() != encoded_bytes(found)) {
    return fail(ErrorCode::corrupt, "not a training state of this run: its header or its size differs");
  }
  TrainingState state(round, found, std::move(bytes));
  for (const auto values : {std::as_const(state).parameters(), std::as_const(state).optimizer(),
                            std::as_const(state).aggregate()}) {
    if (!std::ranges::all_of(values, [](float value) { return std::isfinite(value); })) {
      return fail(ErrorCode::corrupt, "a training state with values that are not finite");
    }
  }
  return state;
}

Digest parameters_digest(std::span<const float> parameters) {
  return crypto::tree_hash(
      {reinterpret_cast<const std::uint8_t*>(parameters.data()), parameters.size_bytes()});
}

}  // namespace testudo::training
