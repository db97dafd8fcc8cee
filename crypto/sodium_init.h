// libsodium must be initialised once before its first use: it then picks the fastest code for this CPU.
// Any thread; the functions of this floor call it themselves.
#pragma once

namespace testudo::crypto {

void ensure_sodium();

}  // namespace testudo::crypto
