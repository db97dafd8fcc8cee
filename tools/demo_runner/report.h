// The demo's report: a self-contained page (no script, no font, nothing from the network) and the same
// figures as JSON.
#pragma once

#include <string>
#include <vector>

#include "crypto/base/result.h"
#include "tools/demo_runner/record.h"

namespace testudo::tools {

std::string report_page(const std::vector<RunRecord>& runs);
// {"runs": [{"rule", "members", "hostile", "rounds", "test_accuracy", "accuracy_by_round": [[round, accuracy]
// …], …} …]}; a figure that nobody measured is null.
std::string report_summary(const std::vector<RunRecord>& runs);

// DIR/index.html and DIR/summary.json; makes DIR.
Result<void> write_report(const std::string& directory, const std::vector<RunRecord>& runs);

}  // namespace testudo::tools
