// The manifest as people write it: grouped tables, unknown keys refused, so that a typo is not a default.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <set>
#include <type_traits>

#define TOML_EXCEPTIONS 0
// The library asserts before it looks ("[|run]" is enough); behind the assertion it finds the same error
// itself.
#define TOML_ASSERT(expression) static_assert(true)
#include <toml++/toml.h>

#include "crypto/base/encoding.h"
#include "swarm/manifest.h"

namespace testudo::swarm {
namespace {

tl::unexpected<Error> bad(const std::string& what) {
  return fail(ErrorCode::invalid_argument, "manifest: " + what);
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

// The shortest text that reads back as the same bits.
template <typename Real>
std::string number(Real value) {
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  std::string text(buffer, end);
  if (text.find_first_of(".en") == std::string::npos)
    text += ".0";  // TOML tells floats from integers by this
  return text;
}
template <std::unsigned_integral Integer>
std::string number(Integer value) {
  return std::to_string(value);
}

// One table of the file. Reads what is there and keeps the default for what is not; remembers which keys are
// known.
class Table {
 public:
  Table(const toml::table& root, std::string name) : name_(std::move(name)) {
    if (const toml::node* node = root.get(name_)) {
      table_ = node->as_table();
      if (!table_) error_ = "[" + name_ + "] is no table";
    }
  }

  void read(const char* key, std::string& out) {
    if (const toml::node* node = find(key)) {
      if (const auto* text = node->as_string()) {
        out = text->get();
      } else {
        complain(key, "is no text in quotes");
      }
    }
  }
  void read(const char* key, bool& out) {
    if (const toml::node* node = find(key)) {
      if (const auto* flag = node->as_boolean()) {
        out = flag->get();
      } else {
        complain(key, "is neither true nor false");
      }
    }
  }
  template <std::unsigned_integral Integer>
  void read(const char* key, Integer& out) {
    if (const toml::node* node = find(key)) {
      const auto* value = node->as_integer();
      if (value && std::in_range<Integer>(value->get())) {
        out = static_cast<Integer>(value->get());
      } else {
        complain(key, "is no whole number from 0 to " + std::to_string(std::numeric_limits<Integer>::max()));
      }
    }
  }
  template <std::floating_point Real>
  void read(const char* key, Real& out) {
    if (const toml::node* node = find(key)) read_real(key, *node, out);
  }
  void read(const char* key, Digest& out) {
    std::string text;
    read(key, text);
    if (text.empty()) return;
    const auto digest = digest_from_hex(text);
    if (digest) {
      out = *digest;
    } else {
      complain(key, "is no digest of 64 hexadecimal digits");
    }
  }
  void read(const char* key, PeerId& out) {
    std::string text;
    read(key, text);
    if (!text.empty()) read_peer(key, text, out);
  }
  void read(const char* key, std::vector<PeerId>& out) {
    const toml::node* node = find(key);
    if (!node) return;
    const toml::array* array = node->as_array();
    if (!array) return complain(key, "is no list of peer ids");
    out.clear();
    for (const toml::node& item : *array) {
      const auto* text = item.as_string();
      if (!text) return complain(key, "is no list of peer ids");
      PeerId peer;
      read_peer(key, text->get(), peer);
      out.push_back(peer);
    }
  }
  void read(const char* key, std::vector<SchedulePoint>& out) {
    const toml::node* node = find(key);
    if (!node) return;
    constexpr auto form = "is no list of [round, value] pairs, such as [[0, 0.1], [400, 0.0]]";
    const toml::array* array = node->as_array();
    if (!array) return complain(key, form);
    out.clear();
    for (const toml::node& item : *array) {
      const toml::array* pair = item.as_array();
      const auto* step = pair && pair->size() == 2 ? pair->get(0)->as_integer() : nullptr;
      if (!step || step->get() < 0) return complain(key, form);
      SchedulePoint point{static_cast<std::uint64_t>(step->get()), 0};
      read_real(key, *pair->get(1), point.value);
      out.push_back(point);
    }
  }

  Result<void> finish() {
    if (table_ && error_.empty()) {
      for (const auto& [key, node] : *table_) {
        if (!known_.contains(std::string(key.str()))) {
          error_ = "unknown key " + std::string(key.str()) + " in [" + name_ + "]";
          break;
        }
      }
    }
    if (!error_.empty()) return bad(error_);
    return {};
  }

 private:
  const toml::node* find(const char* key) {
    known_.insert(key);
    return table_ ? table_->get(key) : nullptr;
  }
  void complain(const std::string& key, const std::string& what) {
    if (error_.empty()) error_ = "[" + name_ + "] " + key + " " + what;
  }
  template <typename Real>
  void read_real(const char* key, const toml::node& node, Real& out) {
    double value = 0;
    if (const auto* real = node.as_floating_point()) {
      value = real->get();
    } else if (const auto* integer = node.as_integer()) {  // "tau = 1" means 1.0
      value = static_cast<double>(integer->get());
    } else {
      return complain(key, "is no number");
    }
    if (!std::isfinite(value) || std::abs(value) > static_cast<double>(std::numeric_limits<Real>::max())) {
      return complain(key, "is out of range");
    }
    out = static_cast<Real>(value);
  }
  void read_peer(const char* key, std::string_view text, PeerId& out) {
    const auto peer = PeerId::from_text(text);
    if (peer) {
      out = *peer;
    } else {
      complain(key, "has a malformed peer id, " + std::string(text.substr(0, 80)));
    }
  }

  std::string name_;
  const toml::table* table_ = nullptr;
  std::set<std::string> known_;
  std::string error_;
};

// The one list of tables and keys, walked by reader and writer alike. `visit(table, key, field)`.
template <typename AnyManifest, typename Visit>
void visit_fields(AnyManifest& m, Visit visit) {
  visit("run", "name", m.name);
  visit("run", "author", m.author);
  visit("run", "founders", m.founders);
  visit("run", "seed", m.seed);
  visit("run", "last_round", m.last_round);
  visit("model", "name", m.model);
  visit("model", "parameter_count", m.parameter_count);
  visit("model", "initial_parameters", m.initial_parameters);
  visit("model", "dataset", m.dataset);
  visit("model", "dataset_digest", m.dataset_digest);
  visit("training", "samples", m.samples);
  visit("training", "optimizer", m.optimizer);
  visit("training", "momentum", m.momentum);
  visit("training", "weight_decay", m.weight_decay);
  visit("training", "nesterov", m.nesterov);
  visit("training", "gradient_norm_limit", m.gradient_norm_limit);
  visit("training", "learning_rate", m.learning_rate);
  visit("aggregation", "codec", m.codec);
  visit("aggregation", "rule", m.rule);
  visit("aggregation", "tau", m.tau);
  visit("aggregation", "g_max", m.g_max);
  visit("swarm", "hostile_share", m.hostile_share);
  visit("swarm", "group_max", m.group_max);
  visit("swarm", "start_members", m.start_members);
  visit("swarm", "growth_cap", m.growth_cap);
  visit("swarm", "challenge_limit", m.challenge_limit);
  visit("swarm", "validators", m.validators);
  visit("swarm", "recompute_tolerance", m.recompute_tolerance);
  visit("timing", "delta_ms", m.delta_ms);
  visit("timing", "compute_deadline_ms", m.compute_deadline_ms);
  visit("timing", "exchange_deadline_ms", m.exchange_deadline_ms);
}

constexpr const char* tables[] = {"run", "model", "training", "aggregation", "swarm", "timing"};

// What does not fit these stays out of the file: absence reads back as the empty value.
std::string written(const std::string& text) { return quoted(text); }
std::string written(bool flag) { return flag ? "true" : "false"; }
std::string written(const Digest& digest) { return digest == Digest{} ? "" : quoted(to_hex(digest)); }
std::string written(const PeerId& peer) { return peer == PeerId() ? "" : quoted(peer.to_text()); }
std::string written(const std::vector<PeerId>& peers) {
  if (peers.empty()) return "";
  std::string out = "[\n";
  for (const PeerId& peer : peers) out += "  " + quoted(peer.to_text()) + ",\n";
  return out + "]";
}
std::string written(const std::vector<SchedulePoint>& points) {
  std::string out = "[";
  for (const SchedulePoint& point : points) {
    if (out.size() > 1) out += ", ";
    out += "[" + number(point.step) + ", " + number(point.value) + "]";
  }
  return out + "]";
}
template <typename Number>
  requires std::is_arithmetic_v<Number>
std::string written(Number value) {
  return number(value);
}

}  // namespace

std::string Manifest::to_toml() const {
  std::string out;
  std::string_view current;
  visit_fields(*this, [&](std::string_view table, std::string_view key, const auto& field) {
    if (table != current) {
      if (!current.empty()) out += '\n';
      out += "[" + std::string(table) + "]\n";
      current = table;
    }
    const std::string value = written(field);
    if (!value.empty()) out += std::string(key) + " = " + value + "\n";
  });
  return out;
}

Result<Manifest> Manifest::from_toml(std::string_view text) {
  if (text.size() > 4 * manifest_max_bytes) return bad("the file is too large");
  // Names are printable ASCII anyway, and the library runs into undefined behaviour at some letters in keys.
  const auto strange =
      std::ranges::find_if(text, [](char c) { return static_cast<unsigned char>(c) > 0x7f; });
  if (strange != text.end()) {
    return bad("line " + std::to_string(1 + std::count(text.begin(), strange, '\n')) +
               ": other than ASCII characters");
  }
  const toml::parse_result parsed = toml::parse(text);
  if (!parsed) {
    const auto& error = parsed.error();
    return bad("line " + std::to_string(error.source().begin.line) + ": " + std::string(error.description()));
  }
  const toml::table& root = parsed.table();
  for (const auto& [key, node] : root) {
    if (std::ranges::find(tables, key.str()) == std::end(tables))
      return bad("unknown table or key " + std::string(key.str()));
  }
  Manifest manifest;
  std::vector<Table> readers;
  for (const char* table : tables) readers.emplace_back(root, table);
  visit_fields(manifest, [&](std::string_view table, const char* key, auto& field) {
    readers[static_cast<std::size_t>(std::ranges::find(tables, table) - std::begin(tables))].read(key, field);
  });
  for (Table& reader : readers) {
    TRY_VOID(reader.finish());
  }
  std::ranges::sort(manifest.founders);
  if (manifest.founders.empty() && manifest.author != PeerId()) manifest.founders = {manifest.author};
  return manifest;
}

}  // namespace testudo::swarm
