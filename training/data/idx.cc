#include "training/data/idx.h"

#include <zlib.h>

#include <algorithm>
#include <limits>
#include <string>

#include "crypto/base/check.h"

namespace testudo::training {
namespace {

// zlib's inflate over one gzip member in memory.
class Gunzip {
 public:
  explicit Gunzip(ByteView file) : rest_(file) {
    constexpr int gzip_only = 16 + MAX_WBITS;
    TESTUDO_CHECK(inflateInit2(&stream_, gzip_only) == Z_OK);
  }
  Gunzip(const Gunzip&) = delete;
  Gunzip& operator=(const Gunzip&) = delete;
  ~Gunzip() { inflateEnd(&stream_); }

  // The next bytes of the content, as many as there are up to out.size(). zlib checks the CRC when it meets
  // the end.
  Result<std::size_t> read(MutableByteView out) {
    std::size_t filled = 0;
    while (filled < out.size() && !ended_) {
      feed();
      const auto room = static_cast<uInt>(std::min<std::size_t>(out.size() - filled, largest_step));
      stream_.next_out = out.data() + filled;
      stream_.avail_out = room;
      const int status = inflate(&stream_, Z_NO_FLUSH);
      filled += room - stream_.avail_out;
      if (status == Z_STREAM_END) {
        ended_ = true;
      } else if (status == Z_BUF_ERROR ||
                 (status == Z_OK && stream_.avail_in == 0 && rest_.empty() && stream_.avail_out != 0)) {
        return fail(ErrorCode::corrupt, "it is truncated");
      } else if (status != Z_OK) {
        return fail(ErrorCode::corrupt, std::string("gzip: ") + (stream_.msg ? stream_.msg : "bad data"));
      }
    }
    return filled;
  }

  // The content is over and nothing follows it in the file.
  Result<void> finish() {
    std::uint8_t extra = 0;
    TRY(const std::size_t count, read({&extra, 1}));
    if (count != 0) return fail(ErrorCode::corrupt, "it holds more values than its header says");
    if (stream_.avail_in != 0 || !rest_.empty()) return fail(ErrorCode::corrupt, "bytes follow its end");
    return {};
  }

 private:
  void feed() {
    if (stream_.avail_in != 0) return;
    const std::size_t size = std::min<std::size_t>(rest_.size(), largest_step);
    stream_.next_in = const_cast<Bytef*>(rest_.data());  // zlib's own type lacks the const; it only reads
    stream_.avail_in = static_cast<uInt>(size);
    rest_ = rest_.subspan(size);
  }

  static constexpr std::size_t largest_step = std::size_t{1} << 30;  // zlib counts in unsigned int
  z_stream stream_{};
  ByteView rest_;
  bool ended_ = false;
};

}  // namespace

Result<IdxArray> parse_idx_gz(ByteView file, std::uint32_t rank) {
  TESTUDO_CHECK(rank >= 1 && rank <= 4);
  Gunzip content(file);
  ByteArray<20> header{};
  const MutableByteView header_bytes = MutableByteView(header).first(4 + std::size_t{4} * rank);
  TRY(const std::size_t header_size, content.read(header_bytes));
  if (header_size != header_bytes.size()) return fail(ErrorCode::corrupt, "it is shorter than an IDX header");
  constexpr std::uint64_t unsigned_bytes = 0x08;
  if (read_be(ByteView(header).first(4)) != (unsigned_bytes << 8 | rank)) {
    return fail(ErrorCode::corrupt, "it is no IDX file of bytes in " + std::to_string(rank) + " dimensions");
  }
  IdxArray array;
  std::uint64_t values = 1;
  for (std::size_t i = 0; i < rank; ++i) {
    const auto dimension = static_cast<std::uint32_t>(read_be(ByteView(header).subspan(4 + 4 * i, 4)));
    if (dimension == 0 || dimension > max_idx_values / values) {
      return fail(ErrorCode::corrupt, "its header asks for an impossible number of values");
    }
    values *= dimension;
    array.dimensions.push_back(dimension);
  }
  // deflate shrinks at most 1032-fold, so a small file cannot make us take much memory.
  constexpr std::uint64_t best_compression = 1032;
  if (values / best_compression > file.size()) return fail(ErrorCode::corrupt, "it is truncated");
  array.values.resize(static_cast<std::size_t>(values));
  TRY(const std::size_t count, content.read(array.values));
  if (count != array.values.size())
    return fail(ErrorCode::corrupt, "it holds fewer values than its header says");
  TRY_VOID(content.finish());
  return array;
}

}  // namespace testudo::training
