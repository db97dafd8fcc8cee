// What the command line refuses before anything is opened or dialled: each takes what was typed and gives
// what is wrong with it, or nothing. For CLI::Option::check. Any thread.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "crypto/base/result.h"

namespace testudo::tools {

std::string check_listen_address(const std::string& text);
std::string check_peer_address(const std::string& text);
std::string check_peer_id(const std::string& text);
std::string check_run_id(const std::string& text);
std::string check_rule(const std::string& text);  // an aggregation rule
std::string check_metrics_address(const std::string& text);

// For all options of the program and its commands that count something: a negative number is no such option's
// value. The library takes -1 for the greatest number that there is.
void refuse_negative_counts(CLI::App& program);

// A number within these bounds; CLI::Range takes nan for one.
CLI::Validator finite_range(double least, double greatest);

// What is wrong with options that are right one by one: asked when all of the command's are known. Wrong
// usage as well.
void check_together(CLI::App& command, std::function<Result<void>()> check);

}  // namespace testudo::tools
