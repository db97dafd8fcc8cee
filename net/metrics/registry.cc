#include "net/metrics/registry.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>

#include "crypto/base/check.h"

namespace testudo::net {
namespace {

bool is_name(const std::string& name) {
  return !name.empty() && name.front() >= 'a' && name.front() <= 'z' && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
}

std::string escaped(const std::string& text, bool quotes) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '"' && quotes) {
      out += "\\\"";
    } else {
      out += c;
    }
  }
  return out;
}

std::string written(const Registry::Labels& labels) {
  std::string out;
  for (const auto& [name, value] : labels) {
    TESTUDO_CHECK(is_name(name) && name != "le");
    out += (out.empty() ? "" : ",") + name + "=\"" + escaped(value, true) + "\"";
  }
  return out;
}

std::string braced(const std::string& labels) { return labels.empty() ? "" : "{" + labels + "}"; }

std::string number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value);
  return std::string(text.data(), end.ptr);
}

}  // namespace

void Registry::Histogram::observe(double value) {
  const auto bucket = std::ranges::lower_bound(bounds_, value) - bounds_.begin();
  ++counts_[static_cast<std::size_t>(bucket)];
  sum_ += value;
}

Registry::Family& Registry::family(const std::string& name, const std::string& help, Kind kind) {
  TESTUDO_CHECK(is_name(name) && !help.empty());
  TESTUDO_CHECK(name.ends_with("_total") == (kind == Kind::counter));
  const auto [found, made] = families_.try_emplace(name);
  if (made) {
    found->second.kind = kind;
    found->second.help = help;
  }
  TESTUDO_CHECK(found->second.kind == kind && found->second.help == help);
  return found->second;
}

Registry::Counter& Registry::counter(const std::string& name, const std::string& help, const Labels& labels) {
  return family(name, help, Kind::counter).counters[written(labels)];
}

Registry::Gauge& Registry::gauge(const std::string& name, const std::string& help, const Labels& labels) {
  return family(name, help, Kind::gauge).gauges[written(labels)];
}

Registry::Histogram& Registry::histogram(const std::string& name, const std::string& help,
                                         std::vector<double> bounds, const Labels& labels) {
  TESTUDO_CHECK(!bounds.empty() && std::ranges::is_sorted(bounds));
  const auto [found, made] = family(name, help, Kind::histogram).histograms.try_emplace(written(labels));
  if (made) {
    found->second.counts_.resize(bounds.size() + 1);
    found->second.bounds_ = std::move(bounds);
  }
  return found->second;
}

std::string Registry::text() {
  for (const auto& collector : collectors_) collector(*this);
  constexpr std::array kinds{"counter", "gauge", "histogram"};
  std::string out;
  for (const auto& [name, family] : families_) {
    out += "# HELP " + name + " " + escaped(family.help, false) + "\n";
    out += "# TYPE " + name + " " + kinds[static_cast<std::size_t>(family.kind)] + "\n";
    for (const auto& [labels, counter] : family.counters) {
      out += name + braced(labels) + " " + number(counter.value_) + "\n";
    }
    for (const auto& [labels, gauge] : family.gauges) {
      out += name + braced(labels) + " " + number(gauge.value_) + "\n";
    }
    for (const auto& [labels, histogram] : family.histograms) {
      std::uint64_t below = 0;
      for (std::size_t i = 0; i < histogram.counts_.size(); ++i) {
        below += histogram.counts_[i];
        const std::string bound = i < histogram.bounds_.size() ? number(histogram.bounds_[i]) : "+Inf";
        out += name + "_bucket{" + labels + (labels.empty() ? "" : ",") + "le=\"" + bound + "\"} " +
               std::to_string(below) + "\n";
      }
      out += name + "_sum" + braced(labels) + " " + number(histogram.sum_) + "\n";
      out += name + "_count" + braced(labels) + " " + std::to_string(below) + "\n";
    }
  }
  return out;
}

}  // namespace testudo::net
