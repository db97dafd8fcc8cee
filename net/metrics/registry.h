// Registry: named numbers for operators, in the text format of Prometheus. Counters only grow and end in
// _total, gauges go both ways, histograms count values below bounds; units are in the name (_bytes,
// _seconds). Whoever has numbers makes instruments here, or a collector that sets them right before a text is
// made. Loop thread only; the instruments live as long as the registry.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace testudo::net {

class Registry {
 public:
  using Labels = std::vector<std::pair<std::string, std::string>>;

  class Counter {
   public:
    void add(double by = 1) { value_ += by; }
    // For what is counted elsewhere. REQUIRES: it only grows.
    void set(double total) { value_ = total; }
    void set(std::uint64_t total) { value_ = static_cast<double>(total); }

   private:
    friend class Registry;
    double value_ = 0;
  };
  class Gauge {
   public:
    void set(double value) { value_ = value; }
    void set(std::uint64_t value) { value_ = static_cast<double>(value); }

   private:
    friend class Registry;
    double value_ = 0;
  };
  class Histogram {
   public:
    void observe(double value);

   private:
    friend class Registry;
    std::vector<double> bounds_;
    std::vector<std::uint64_t> counts_;  // one more: beyond the last bound
    double sum_ = 0;
  };

  // The same name and labels give the same instrument. REQUIRES: names and labels of Prometheus' grammar that
  // fit the kind, one kind and help text a name; bounds ascending.
  Counter& counter(const std::string& name, const std::string& help, const Labels& labels = {});
  Gauge& gauge(const std::string& name, const std::string& help, const Labels& labels = {});
  Histogram& histogram(const std::string& name, const std::string& help, std::vector<double> bounds,
                       const Labels& labels = {});

  // Called before each text. What it uses outlives the registry.
  void add_collector(std::function<void(Registry&)> collector) {
    collectors_.push_back(std::move(collector));
  }
  // Everything there is, families by name.
  std::string text();

 private:
  enum class Kind { counter, gauge, histogram };
  struct Family {
    Kind kind = Kind::counter;
    std::string help;
    // By the labels as they are written.
    std::map<std::string, Counter> counters;
    std::map<std::string, Gauge> gauges;
    std::map<std::string, Histogram> histograms;
  };
  Family& family(const std::string& name, const std::string& help, Kind kind);

  std::map<std::string, Family> families_;
  std::vector<std::function<void(Registry&)>> collectors_;
};

}  // namespace testudo::net
