// Bad data files: every one is an error that says which file and why.
#include "training/data/fashion_mnist.h"

#include <doctest/doctest.h>
#include <zlib.h>

#include <cstdlib>
#include <filesystem>
#include <set>

#include "crypto/base/file.h"
#include "crypto/hash.h"
#include "crypto/rng.h"
#include "training/data/idx.h"

namespace testudo::training {
namespace {

Bytes gzip(ByteView content) {
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  Bytes out(content.size() + 1024);
  Bytes input = to_bytes(content);
  stream.next_in = input.data();
  stream.avail_in = static_cast<uInt>(input.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<uInt>(out.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

Bytes idx(std::uint32_t magic, std::initializer_list<std::uint32_t> dimensions, std::size_t values,
          std::uint8_t value = 3) {
  Bytes out;
  append_be(out, magic, 4);
  for (const std::uint32_t dimension : dimensions) append_be(out, dimension, 4);
  out.insert(out.end(), values, value);
  return out;
}

constexpr std::uint32_t image_magic = 0x803;
constexpr std::uint32_t label_magic = 0x801;

std::string refusal(ByteView file, std::uint32_t rank) {
  const auto array = parse_idx_gz(file, rank);
  REQUIRE_FALSE(array.has_value());
  CHECK(array.error().code == ErrorCode::corrupt);
  return array.error().message;
}

bool mentions(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

// A folder with the four files of a small data set, removed at the end.
class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "testudo-fashion-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
    write("train-images-idx3-ubyte.gz", idx(image_magic, {3, 28, 28}, 3 * 784));
    write("train-labels-idx1-ubyte.gz", idx(label_magic, {3}, 3));
    write("t10k-images-idx3-ubyte.gz", idx(image_magic, {2, 28, 28}, 2 * 784));
    write("t10k-labels-idx1-ubyte.gz", idx(label_magic, {2}, 2));
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path_); }

  void write(const std::string& name, ByteView content) {
    REQUIRE(write_file(path_ + "/" + name, gzip(content)).has_value());
  }
  const std::string& path() const { return path_; }

  std::string refusal() const {
    const auto data = load_fashion_mnist(path_);
    REQUIRE_FALSE(data.has_value());
    return data.error().message;
  }

 private:
  std::string path_;
};

}  // namespace

TEST_CASE("an IDX file gives its dimensions and values") {
  const auto array = parse_idx_gz(gzip(idx(image_magic, {2, 5, 7}, 70, 9)), 3);
  REQUIRE(array.has_value());
  CHECK(array->dimensions == std::vector<std::uint32_t>{2, 5, 7});
  CHECK(array->values == Bytes(70, 9));
}

TEST_CASE("an IDX file cut anywhere is truncated, never read beyond its end") {
  Bytes content = idx(label_magic, {500}, 0);
  crypto::SeededRng rng(1);
  Bytes noise(500);
  rng.fill(noise);
  append(content, noise);
  const Bytes file = gzip(content);
  REQUIRE(parse_idx_gz(file, 1).has_value());
  for (std::size_t size = 0; size < file.size(); ++size) {
    INFO("cut to ", size);
    CHECK(mentions(refusal(ByteView(file).first(size), 1), "truncated"));
  }
}

TEST_CASE("an IDX file with a flipped bit is refused or the same array") {
  const Bytes content = idx(label_magic, {100}, 100);
  const Bytes file = gzip(content);
  for (std::size_t bit = 0; bit < 8 * file.size(); ++bit) {
    Bytes flipped = file;
    flipped[bit / 8] = static_cast<std::uint8_t>(flipped[bit / 8] ^ (1U << (bit % 8)));
    const auto array = parse_idx_gz(flipped, 1);
    INFO("bit ", bit);
    // gzip's own header has fields (time, system) that say nothing about the content.
    if (array.has_value()) CHECK(array->values == Bytes(100, 3));
  }
}

TEST_CASE("an IDX file of another kind or shape is refused") {
  CHECK(mentions(refusal(gzip(idx(label_magic, {3}, 3)), 3), "shorter"));
  CHECK(mentions(refusal(gzip(idx(label_magic, {30}, 30)), 3), "no IDX file"));
  CHECK(mentions(refusal(gzip(idx(0xd03, {2, 2, 2}, 32)), 3), "no IDX file"));  // floats
  CHECK(mentions(refusal(gzip(idx(label_magic, {4}, 3)), 1), "fewer values"));
  CHECK(mentions(refusal(gzip(idx(label_magic, {3}, 4)), 1), "more values"));
  CHECK(mentions(refusal(gzip(idx(label_magic, {0}, 0)), 1), "impossible"));
  refusal(as_bytes("no gzip at all, but long enough to be one"), 1);
  Bytes followed = gzip(idx(label_magic, {3}, 3));
  followed.push_back(0);
  CHECK(mentions(refusal(followed, 1), "follow"));
}

TEST_CASE("a header that asks for a huge array costs no memory") {
  CHECK(mentions(refusal(gzip(idx(image_magic, {0xffffffff, 0xffffffff, 0xffffffff}, 8)), 3), "impossible"));
  CHECK(mentions(refusal(gzip(idx(image_magic, {65536, 65536, 65536}, 8)), 3), "impossible"));
  CHECK(mentions(refusal(gzip(idx(label_magic, {1U << 30}, 8)), 1), "truncated"));
}

TEST_CASE("a complete folder loads, and its content hash does not depend on the compression") {
  Folder folder;
  const auto data = load_fashion_mnist(folder.path());
  REQUIRE(data.has_value());
  CHECK(data->training->size() == 3);
  CHECK(data->test->size() == 2);
  folder.write("t10k-labels-idx1-ubyte.gz", idx(label_magic, {2}, 2, 4));
  const auto other = load_fashion_mnist(folder.path());
  REQUIRE(other.has_value());
  CHECK(other->content_hash != data->content_hash);
  const auto again = load_fashion_mnist(folder.path());
  REQUIRE(again.has_value());
  CHECK(other->content_hash == again->content_hash);
}

TEST_CASE("a data set whose files do not fit together is refused, and the file is named") {
  Folder folder;
  SUBCASE("a missing file names the package") {
    std::filesystem::remove(folder.path() + "/t10k-images-idx3-ubyte.gz");
    const std::string message = folder.refusal();
    CHECK(mentions(message, "t10k-images-idx3-ubyte.gz"));
    CHECK(mentions(message, "dataset-fashion-mnist"));
  }
  SUBCASE("other counts of labels and images") {
    folder.write("train-labels-idx1-ubyte.gz", idx(label_magic, {4}, 4));
    CHECK(mentions(folder.refusal(), "4 labels for 3 images"));
  }
  SUBCASE("images of another size") {
    folder.write("train-images-idx3-ubyte.gz", idx(image_magic, {3, 14, 56}, 3 * 784));
    CHECK(mentions(folder.refusal(), "28"));
  }
  SUBCASE("a label above nine") {
    folder.write("t10k-labels-idx1-ubyte.gz", idx(label_magic, {2}, 2, 10));
    CHECK(mentions(folder.refusal(), "above 9"));
  }
}

TEST_CASE("a batch is distinct samples, the same for everyone, another for another seed") {
  const Digest seed = crypto::blake2b(as_bytes("seed"));
  const auto batch = select_batch(seed, 60000, 64);
  CHECK(batch.size() == 64);
  CHECK(std::set<std::uint32_t>(batch.begin(), batch.end()).size() == 64);
  CHECK(batch == select_batch(seed, 60000, 64));
  CHECK(batch != select_batch(crypto::blake2b(as_bytes("other")), 60000, 64));
  // The draw is part of the protocol: these are what every member draws.
  const std::vector<std::uint32_t> first(batch.begin(), batch.begin() + 4);
  CHECK(first == std::vector<std::uint32_t>{39077, 31509, 18234, 33505});
  const auto most = select_batch(seed, 10, 9);
  CHECK(std::set<std::uint32_t>(most.begin(), most.end()).size() == 9);
  CHECK(select_batch(seed, 3, 100) == std::vector<std::uint32_t>{0, 1, 2});
}

}  // namespace testudo::training
