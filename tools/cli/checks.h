// What the command line refuses before anything is opened or dialled: each takes what was typed and gives
// what is wrong with it, or nothing. For CLI::Option::check. Any thread.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace testudo::tools {

std::string check_listen_address(const std::string& text);
std::string check_peer_address(const std::string& text);
std::string check_peer_id(const std::string& text);
std::string check_run_id(const std::string& text);
std::string check_rule(const std::string& text);  // an aggregation rule

// A number within these bounds; CLI::Range takes nan for one.
CLI::Validator finite_range(double least, double greatest);

}  // namespace testudo::tools
