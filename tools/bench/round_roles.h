// The workers of the suite round. Each says a "turn" for every all-reduce: when it began, released from a
// barrier together with the others, when it had the result (wall_seconds()), and its CPU seconds; and at last
// "done" with the most memory that it held.
#pragma once

#include "tools/bench/worker.h"

namespace testudo::bench {

// {"index", "group": file of a SharedGroup, "values", "codec", "turns"}
Result<void> floor_member_role(const tools::Json& role, tools::Output& output);
// The same and {"rule", "folder", "bootstrap": address of a member, empty for the first}; says "ready" with
// its address first. Its turns hold the phases, too.
Result<void> round_member_role(const tools::Json& role, tools::Output& output);

}  // namespace testudo::bench
