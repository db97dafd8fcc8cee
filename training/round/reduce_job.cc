#include "training/round/reduce_job.h"

#include "crypto/merkle.h"

namespace testudo::training {

std::optional<Reduced> ReduceJob::run() const {
  const CodecKind codec = rules->codec;
  std::vector<ByteView> views;
  for (const Blob& bytes : contributions) views.emplace_back(*bytes);
  const EncodedParts parts(codec, range.size, rules->manifest.g_max, std::move(views));
  const std::vector<double> weights(contributions.size(), 1.0);
  std::span<const float> start = state->aggregate();
  if (!start.empty()) start = start.subspan(range.begin, range.size);
  Buffer encoded = take_buffer(spare, encoded_size(codec, range.size));
  bool finite = true;
  const auto sink = [&](std::size_t begin, std::span<const float> values) {
    const auto place = encoded_range(codec, MutableByteView(encoded), begin, values.size());
    finite = finite && encode_into(codec, values, place).has_value();
  };
  const Aggregate aggregate = rules->rule->aggregate({parts, weights, start, tau, hostile_count, seed}, sink);
  if (!aggregate.converged || !finite) return std::nullopt;
  const Digest hash = crypto::tree_hash(encoded);
  return Reduced{share(std::move(encoded), spare), hash};
}

}  // namespace testudo::training
