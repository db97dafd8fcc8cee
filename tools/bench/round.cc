// Suite round: whole rounds of ours among processes, beside the floor of their bytes and the all-reduce of
// libraries that trust everybody. The floor is measured before and after, and all in one run.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "crypto/base/log.h"
#include "crypto/merkle.h"
#include "tools/bench/machine.h"
#include "tools/bench/round_groups.h"
#include "tools/bench/suites.h"
#include "training/codec/codec.h"

namespace testudo::bench {
namespace {

// What a member may need, for deciding whether a size fits on this machine: somewhat more than was ever
// measured.
std::size_t memory_of_member(const std::string& rule, std::size_t vector) {
  return (std::size_t{256} << 20) + (rule == "mean" ? 5 : 8) * vector;
}

// Seconds to hash what a round hashes, with all cores at it: every member its own parts, those it reduces and
// those it receives.
double hash_seconds(const Shape& shape, double bytes_per_second) {
  const auto kind = training::codec_from_name(shape.codec);
  const auto encoded = static_cast<double>(encoded_size(*kind, shape.values()));
  const auto members = static_cast<double>(shape.members);
  const double bytes_a_member = encoded * (3 - 1 / members);
  return members * bytes_a_member / bytes_per_second / this_machine().cores;
}

// Bytes a second that one core hashes as parts are hashed.
double measure_hash() {
  const Bytes data(std::size_t{4} << 20, 1);
  const auto seconds = time_in_turns(5, {[&] { keep(crypto::tree_hash(data)); }});
  return static_cast<double>(data.size()) / seconds[0].median;
}

// Seconds to write the vector once for every member where members keep their data, and to have it on disk.
Result<double> disk_seconds(const Shape& shape) {
  TRY(const Scratch scratch, Scratch::make());
  const Bytes data(std::size_t{1} << 20, 1);
  const double start = wall_seconds();
  const int file = ::open(scratch.file("data").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  bool well = file >= 0;
  for (std::size_t i = 0; well && i < shape.mebibytes; ++i) {
    well = ::write(file, data.data(), data.size()) == static_cast<ssize_t>(data.size());
  }
  well = well && ::fsync(file) == 0;
  const double seconds = wall_seconds() - start;
  if (file >= 0) ::close(file);
  if (!well) return fail(ErrorCode::io, "cannot write a file of the vector's size below $TMPDIR");
  return seconds * static_cast<double>(shape.members);
}

struct Yardsticks {
  Turns floor;
  std::optional<Turns> gloo, open_mpi;
  double hash_speed = 0;
  double disk = 0;
};

std::string name_of(const Shape& shape) {
  return std::to_string(shape.mebibytes) + " MiB x " + std::to_string(shape.members);
}

Figure in_mebi(const std::vector<double>& bytes) {
  return mapped(figure(bytes), [](double value) { return value / mebi; });
}

void add_ours(Report& report, const Shape& shape, const std::string& rule, const Turns& ours,
              const Yardsticks& beside) {
  const std::string name = "round/" + rule + "/" + shape.codec + "/" + name_of(shape);
  const Figure seconds = figure(ours.seconds);
  const double floor = figure(beside.floor.seconds).median;
  const double hashed = floor + hash_seconds(shape, beside.hash_speed);
  const bool is_mean = rule == "mean";
  const auto add = [&](const std::string& what, const Figure& value, const char* unit, Baseline baseline,
                       std::optional<double> target) {
    report.add({name + "/" + what, value, unit, Better::lower, std::move(baseline), target});
  };
  add("all-reduce", seconds, "s", {"floor + hashing", hashed}, is_mean ? std::optional(1.2) : std::nullopt);
  add("all-reduce, floor", seconds, "s", {"floor: " + shape.codec + ", sealed", floor}, {});
  if (beside.gloo)
    add("all-reduce, Gloo", seconds, "s", {"Gloo ring", figure(beside.gloo->seconds).median}, {});
  if (beside.open_mpi) {
    add("all-reduce, Open MPI", seconds, "s", {"Open MPI ring", figure(beside.open_mpi->seconds).median}, {});
  }
  const Figure whole = figure(ours.whole);
  add("whole", whole, "s", {"floor + hashing", hashed},
      rule == "centered_clip" ? std::optional(1.5) : std::nullopt);
  for (const auto& [phase, taken] : ours.phases) {
    add("phase " + phase, figure(taken), "s", {"whole", whole.median}, {});
  }
  const auto certify =
      std::ranges::find(ours.phases, "certify", [](const auto& entry) { return entry.first; });
  if (certify != ours.phases.end()) {
    add("phase certify, disk", figure(certify->second), "s", {"the vector written once by all", beside.disk},
        {});
  }
  add("cpu", figure(ours.cpu), "CPU s, all", {"floor", figure(beside.floor.cpu).median}, {});

  const auto kind = training::codec_from_name(shape.codec);
  const auto encoded = static_cast<double>(encoded_size(*kind, shape.values()));
  const auto members = static_cast<double>(shape.members);
  add("sent by a member", in_mebi(ours.sent), "MiB",
      {"2 d (n-1)/n encoded", 2 * encoded * (members - 1) / members / mebi}, 1.02);
  const double peak = static_cast<double>(ours.peak) / mebi;
  add("peak memory of a member", {peak, peak, peak, 1}, "MiB",
      {"the vector", static_cast<double>(shape.mebibytes)}, 3.0);
}

// Nothing, said, when the library is not there.
Result<std::optional<Turns>> optional_turns(Result<Turns> turns, const char* library, Report& report) {
  if (turns) return std::optional(*std::move(turns));
  if (turns.error().code != ErrorCode::not_found) return fail(std::move(turns).error());
  report.note(std::string(library) + " left out: " + turns.error().message);
  return std::optional<Turns>();
}

Result<void> add_shape(const Options& options, Report& report, const Shape& shape,
                       std::vector<std::string> rules) {
  std::erase_if(rules, [&](const std::string& rule) {
    const std::size_t needed = shape.members * memory_of_member(rule, shape.mebibytes << 20);
    const bool too_large = needed > available_bytes();
    if (too_large) {
      report.note(rule + ", " + name_of(shape) + " left out: it may need " + tools::bytes_text(needed) +
                  " of memory, and " + tools::bytes_text(available_bytes()) + " are free");
    }
    return too_large;
  });
  if (rules.empty()) return {};
  const std::size_t turns = options.repeat(shape.mebibytes < 64 ? 7 : 3);
  Yardsticks beside;
  beside.hash_speed = measure_hash();
  TRY(beside.disk, disk_seconds(shape));
  log::info("{}: the floor", name_of(shape));
  TRY(beside.floor, run_floor(shape, turns));
  log::info("{}: Gloo and Open MPI", name_of(shape));
  TRY(beside.gloo, optional_turns(run_gloo(shape, turns), "Gloo", report));
  TRY(beside.open_mpi, optional_turns(run_open_mpi(shape, turns), "Open MPI", report));
  std::vector<Turns> ours;
  for (const std::string& rule : rules) {
    log::info("{}: rounds with {}", name_of(shape), rule);
    TRY(auto run, run_rounds(shape, rule, turns));
    ours.push_back(std::move(run));
  }
  log::info("{}: the floor once more", name_of(shape));
  TRY(const Turns again, run_floor(shape, turns));
  beside.floor.append(again);

  const double floor = figure(beside.floor.seconds).median;
  const std::string name = "round/" + shape.codec + "/" + name_of(shape);
  if (beside.gloo) {
    report.add({name + "/Gloo", figure(beside.gloo->seconds), "s", Better::lower, {"floor", floor}, {}});
  }
  if (beside.open_mpi) {
    report.add(
        {name + "/Open MPI", figure(beside.open_mpi->seconds), "s", Better::lower, {"floor", floor}, {}});
  }
  for (std::size_t i = 0; i < rules.size(); ++i) add_ours(report, shape, rules[i], ours[i], beside);
  return {};
}

}  // namespace

Result<void> run_round(const Options& options, Report& report) {
  report.section(
      "round: all-reduce of float32 among processes, from a common start to the last one's result");
  auto sizes = options.sizes;
  if (sizes.empty()) {
    sizes = options.quick ? std::vector<std::size_t>{1}
            : options.all ? std::vector<std::size_t>{4, 64, 256}
                          : std::vector<std::size_t>{4, 64};  // what takes minutes
  }
  auto members = options.members;
  if (members.empty()) {
    members = options.quick ? std::vector<std::size_t>{3}
              : options.all ? std::vector<std::size_t>{4, 8}
                            : std::vector<std::size_t>{4};
  }
  auto rules = options.rules;
  if (rules.empty()) rules = {"mean", "centered_clip"};
  auto codecs = options.codecs;
  if (codecs.empty()) codecs = {"int8"};
  for (const std::string& codec : codecs) {
    for (const std::size_t size : sizes) {
      for (const std::size_t count : members) {
        TRY_VOID(add_shape(options, report, {size, count, codec}, rules));
      }
    }
  }
  return {};
}

}  // namespace testudo::bench
