// Small whole files: keys, settings, certificates of state. Reading is bounded, writing is atomic: after a
// crash there is the old file or the new one, never half of either. Any thread.
#pragma once

#include <cstddef>
#include <string>

#include "crypto/base/bytes.h"
#include "crypto/base/result.h"

namespace testudo {

// Errors: not_found, limit (larger than max_size), io.
Result<Bytes> read_file(const std::string& path, std::size_t max_size);
// Through a temporary file in the same folder, fsync and rename; `mode` are its permissions.
Result<void> write_file(const std::string& path, ByteView content, unsigned mode = 0644);

}  // namespace testudo
