// Domain names in multiaddrs: /dns, /dns4 and /dns6 become /ip4 and /ip6. Loop thread only; the look-up runs
// on the pool.
#pragma once

#include <vector>

#include "net/address/multiaddr.h"
#include "net/async/scheduler.h"
#include "net/async/task.h"

namespace testudo::net {

// `address` itself when it begins with no name; at most four addresses otherwise.
Task<Result<std::vector<Multiaddr>>> resolve(Scheduler& scheduler, Multiaddr address);

}  // namespace testudo::net
