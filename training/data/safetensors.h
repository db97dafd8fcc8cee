// model.safetensors: the trained model as a file that common tools read (huggingface/safetensors): eight
// bytes of header length (little endian), a JSON header, the tensors' values. We write and read float32 only.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "crypto/base/bytes.h"
#include "crypto/base/result.h"
#include "training/model.h"

namespace testudo::training {

struct Safetensors {
  std::vector<NamedTensorInfo> layout;  // in the order of the file, without gaps
  std::vector<float> values;            // flat
  std::map<std::string, std::string> metadata;
};

// Pure. REQUIRES: the layout covers `values` exactly, with distinct names, none "__metadata__".
Bytes encode_safetensors(std::span<const NamedTensorInfo> layout, std::span<const float> values,
                         const std::map<std::string, std::string>& metadata = {});

// Errors: corrupt, for anything else than one header and float32 tensors that fill the rest exactly.
Result<Safetensors> decode_safetensors(ByteView file);

// Atomic: after a crash there is the old file or the new one. Errors: io.
Result<void> write_safetensors(const std::string& path, std::span<const NamedTensorInfo> layout,
                               std::span<const float> values,
                               const std::map<std::string, std::string>& metadata = {});

// Errors: not_found, limit (larger than max_size bytes), io, corrupt.
Result<Safetensors> read_safetensors(const std::string& path, std::size_t max_size = std::size_t{4} << 30);

}  // namespace testudo::training
