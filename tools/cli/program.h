// Program: a command line of several commands, or of one. It parses, sets logging up, runs what was chosen
// and turns a failure into one line on stderr and the exit code: 0 well done (also after SIGINT and SIGTERM),
// 1 failure, 2 wrong usage.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "crypto/base/result.h"
#include "tools/cli/output.h"

namespace testudo::tools {

// For a command that only shows something: when whoever reads stdout has seen enough and goes (`| head`), the
// process ends by SIGPIPE without a word, as others do. A node goes on instead.
void end_with_reader();

class Program {
 public:
  using Command = std::function<Result<void>(Output&)>;

  // `name` as in messages, `teaching` is printed below the options by --help.
  Program(std::string name, const std::string& description, const std::string& teaching);

  CLI::App& app() { return app_; }
  // A command below `parent` (the program itself, if it is null).
  CLI::App* add(const std::string& name, const std::string& description, const std::string& teaching,
                Command command, CLI::App* parent = nullptr);
  // A group of commands; one of them has to be given.
  CLI::App* add_group(const std::string& name, const std::string& description, const std::string& teaching);
  // For a program of a single command.
  void set_command(Command command) { chosen_ = std::move(command); }

  int run(int argc, char** argv);

 private:
  // One line on stderr; the exit code.
  int complain(const std::string& message) const;

  CLI::App app_;
  std::string name_;
  bool json_ = false;
  std::string log_level_ = "info";
  Command chosen_;
};

}  // namespace testudo::tools
