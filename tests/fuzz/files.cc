// Files of others: safetensors and IDX. What is accepted is whole, bounded by what was read, and is written
// again as something that reads the same.
#include <zlib.h>

#include <cstring>

#include "tests/fuzz/fuzz.h"
#include "training/data/idx.h"
#include "training/data/safetensors.h"

namespace testudo::fuzz {
namespace {

using namespace training;

Bytes gzip(ByteView content) {
  z_stream stream{};
  TESTUDO_CHECK(deflateInit2(&stream, 1, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  Bytes out(deflateBound(&stream, static_cast<uLong>(content.size())) + 32);
  Bytes in = to_bytes(content);
  stream.next_in = in.data();
  stream.avail_in = static_cast<uInt>(in.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<uInt>(out.size());
  TESTUDO_CHECK(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(out.size() - stream.avail_out);
  deflateEnd(&stream);
  return out;
}

void check_idx(ByteView file, std::uint32_t rank) {
  const auto array = parse_idx_gz(file, rank);
  if (!array) return;
  std::uint64_t values = 1;
  for (const std::uint32_t dimension : array->dimensions) values *= dimension;
  TESTUDO_CHECK(array->dimensions.size() == rank && array->values.size() == values && values > 0);
  TESTUDO_CHECK(values / 1032 <= file.size());
}

void run(ByteView input) {
  if (const auto model = decode_safetensors(input)) {
    TESTUDO_CHECK(4 * model->values.size() <= input.size());
    const Bytes again = encode_safetensors(model->layout, model->values, model->metadata);
    const auto second = decode_safetensors(again);
    TESTUDO_CHECK(second && second->metadata == model->metadata);
    TESTUDO_CHECK(second->values.size() == model->values.size() &&
                  second->layout.size() == model->layout.size());
    if (!model->values.empty()) {
      TESTUDO_CHECK(std::memcmp(second->values.data(), model->values.data(), 4 * model->values.size()) == 0);
    }
  }
  const std::uint32_t rank = input.empty() ? 1 : 1 + input[0] % 4;
  check_idx(input, rank);
  // The same as the content of an intact gzip file: deeper than its checksum would let us come.
  if (input.size() > 1 && input.size() < 4096) check_idx(gzip(input.subspan(1)), rank);
}

std::vector<Bytes> seeds() {
  const std::vector<NamedTensorInfo> layout{{"weight", {2, 3}, 0}, {"bias", {}, 6}};
  const std::vector<float> values{1, 2, 3, 4, 5, 6, 7};
  Bytes idx{0, 0, 0, 8, 1, 0, 0, 0, 5, 1, 2, 3, 4, 5};
  Bytes images{2, 0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 1, 9, 8, 7, 6};
  return {encode_safetensors(layout, values, {{"run", "test"}}), encode_safetensors({}, {}), idx, images,
          gzip(ByteView(idx).subspan(1))};
}

const Registered target({"files", run, seeds, 20});

}  // namespace
}  // namespace testudo::fuzz
