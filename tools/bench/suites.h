// The suites of `testudo bench`: each adds its rows to the report. They run one after another on the calling
// thread and own whatever they start: processes, folders, sockets.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "crypto/base/result.h"
#include "tools/bench/report.h"

namespace testudo::bench {

struct Options {
  // Sizes and repetitions that take seconds: to see that everything works, not to quote.
  bool quick = false;
  // Every size, also those that take minutes and many GiB.
  bool all = false;
  std::size_t repetitions = 0;  // 0: the suite's own
  // Suite round. Empty: the suite's own.
  std::vector<std::size_t> sizes;  // MiB of float32
  std::vector<std::size_t> members;
  std::vector<std::string> rules;
  std::vector<std::string> codecs;
  std::size_t nodes = 0;  // suite dht

  std::size_t repeat(std::size_t usual) const {
    if (repetitions > 0) return repetitions;
    return quick ? 2 : usual;
  }
};

Result<void> run_codec(const Options& options, Report& report);
Result<void> run_clip(const Options& options, Report& report);
Result<void> run_net(const Options& options, Report& report);
Result<void> run_dht(const Options& options, Report& report);
Result<void> run_round(const Options& options, Report& report);
Result<void> run_overhead(const Options& options, Report& report);

}  // namespace testudo::bench
