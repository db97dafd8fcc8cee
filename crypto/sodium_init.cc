#include "crypto/sodium_init.h"

#include <sodium.h>

#include "crypto/base/check.h"

namespace testudo::crypto {

void ensure_sodium() {
  static const bool ready = sodium_init() >= 0;
  TESTUDO_CHECK(ready);
}

}  // namespace testudo::crypto
