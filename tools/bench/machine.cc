#include "tools/bench/machine.h"

#include <openssl/crypto.h>
#include <sodium.h>
#include <spdlog/fmt/fmt.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <uv.h>

#include <fstream>

namespace testudo::bench {
namespace {

std::string cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown CPU";
}

}  // namespace

tools::Json Machine::to_json() const {
  return {{"event", "machine"},   {"version", TESTUDO_VERSION}, {"cpu", cpu},
          {"cores", cores},       {"memory", memory},           {"kernel", kernel},
          {"compiler", compiler}, {"libraries", libraries},     {"load", load}};
}

std::string Machine::to_text() const {
  std::string text = fmt::format("testudo {}, {} ({} cores), {}, {}\n{}", TESTUDO_VERSION, cpu, cores,
                                 tools::bytes_text(memory), kernel, compiler);
  for (const std::string& library : libraries) text += ", " + library;
  return text + fmt::format(", load {:.1f}", load);
}

Machine this_machine() {
  Machine machine;
  machine.cpu = cpu_model();
  machine.cores = uv_available_parallelism();
  struct sysinfo memory{};
  if (sysinfo(&memory) == 0) machine.memory = memory.totalram * memory.mem_unit;
  utsname name{};
  if (uname(&name) == 0) machine.kernel = fmt::format("{} {}", name.sysname, name.release);
#ifdef __clang__
  machine.compiler = "clang " __clang_version__;
#else
  machine.compiler = "g++ " __VERSION__;
#endif
  machine.libraries = {
      fmt::format("libuv {}", uv_version_string()), fmt::format("libsodium {}", sodium_version_string()),
      fmt::format("{}", OpenSSL_version(OPENSSL_VERSION)), fmt::format("SQLite {}", sqlite3_libversion())};
  double load = 0;
  if (getloadavg(&load, 1) == 1) machine.load = load;
  return machine;
}

}  // namespace testudo::bench
