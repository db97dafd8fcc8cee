#include "crypto/secret.h"

#include <sodium.h>

namespace testudo::crypto {

void wipe(MutableByteView secret) { sodium_memzero(secret.data(), secret.size()); }

}  // namespace testudo::crypto
