// Metrics: their text as Prometheus defines it, the server that answers with it, and that every limit is
// documented.
#include <doctest/doctest.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "net/limits/limits.h"
#include "net/metrics/metrics_server.h"
#include "net/metrics/process_use.h"
#include "net/metrics/registry.h"
#include "tests/net/http_get.h"
#include "tests/net/prometheus_text.h"

using namespace testudo;
using namespace testudo::net;
using testudo::net::testing::http;
using testudo::net::testing::parse_prometheus;

TEST_CASE("a registry writes every family once, with its help, its type and its values") {
  Registry registry;
  registry.counter("testudo_a_total", "How often\nand \\ why", {{"cause", "a \"b\"\n\\"}}).add(2);
  registry.counter("testudo_a_total", "How often\nand \\ why", {{"cause", "c"}}).add();
  registry.gauge("testudo_b_bytes", "How much").set(0.25);
  auto& histogram = registry.histogram("testudo_c_seconds", "How long", {0.1, 1});
  for (const double value : {0.05, 0.1, 0.5, 7.0}) histogram.observe(value);
  int collected = 0;
  registry.add_collector([&](Registry& into) {
    ++collected;
    into.counter("testudo_d_total", "Set from elsewhere").set(std::uint64_t{1} << 40);
  });
  CHECK(registry.text() ==
        "# HELP testudo_a_total How often\\nand \\\\ why\n"
        "# TYPE testudo_a_total counter\n"
        "testudo_a_total{cause=\"a \\\"b\\\"\\n\\\\\"} 2\n"
        "testudo_a_total{cause=\"c\"} 1\n"
        "# HELP testudo_b_bytes How much\n"
        "# TYPE testudo_b_bytes gauge\n"
        "testudo_b_bytes 0.25\n"
        "# HELP testudo_c_seconds How long\n"
        "# TYPE testudo_c_seconds histogram\n"
        "testudo_c_seconds_bucket{le=\"0.1\"} 2\n"
        "testudo_c_seconds_bucket{le=\"1\"} 3\n"
        "testudo_c_seconds_bucket{le=\"+Inf\"} 4\n"
        "testudo_c_seconds_sum 7.65\n"
        "testudo_c_seconds_count 4\n"
        "# HELP testudo_d_total Set from elsewhere\n"
        "# TYPE testudo_d_total counter\n"
        "testudo_d_total 1099511627776\n");
  const auto parsed = parse_prometheus(registry.text());
  REQUIRE_MESSAGE(parsed.problem.empty(), parsed.problem);
  CHECK(parsed.values.at("testudo_a_total{cause=\"c\"}") == 1);
  CHECK(parsed.types.at("testudo_c_seconds") == "histogram");
  CHECK(collected == 2);
}

TEST_CASE("the strict parser finds what Prometheus would refuse") {
  for (const char* text : {"testudo_a 1\n", "# HELP testudo_a x\ntestudo_a 1\n",
                           "# HELP testudo_a x\n# TYPE testudo_a counter\ntestudo_a 1\n",
                           "# HELP testudo_a x\n# TYPE testudo_a gauge\ntestudo_a one\n",
                           "# HELP testudo_a x\n# TYPE testudo_a gauge\ntestudo_a 1\ntestudo_a 2\n",
                           "# HELP testudo_a x\n# TYPE testudo_a gauge\ntestudo_a{b=c} 1\n",
                           "# HELP testudo_a x\n# TYPE testudo_a gauge\ntestudo_a 1",
                           "# HELP testudo_a x\n# TYPE testudo_a gauge\n"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_prometheus(text).problem.empty());
  }
}

TEST_CASE("the metrics server answers GET /metrics, and nothing else") {
  auto server = MetricsServer::start("127.0.0.1:0");
  REQUIRE_MESSAGE(server.has_value(), server.error().message);
  const std::string url = (*server)->url();
  CHECK(url.starts_with("http://127.0.0.1:"));
  CHECK(url.ends_with("/metrics"));
  (*server)->publish(std::string(100'000, 'x'));
  const std::string good = http(url, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(good.starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(good.find("Content-Length: 100000\r\n") != std::string::npos);
  CHECK(good.ends_with("\r\n\r\n" + std::string(100'000, 'x')));
  CHECK(http(url, "POST /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405 "));
  CHECK(http(url, "GET /../etc/passwd HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 "));
  CHECK(http(url, "\x16\x03\x01 garbage\r\n\r\n").starts_with("HTTP/1.1 400 "));
  CHECK(http(url, "GET /metrics HTTP/1.1\r\n" + std::string(2026, 'h')).starts_with("HTTP/1.1 431 "));
}

TEST_CASE("who sends no request is cut off, and many such do not keep others out for long") {
  auto server = MetricsServer::start("127.0.0.1:0");
  REQUIRE(server.has_value());
  CHECK(http((*server)->url(), "GET ").empty());
}

TEST_CASE("a metrics address that is malformed or taken is an error that says so") {
  for (const char* text : {"", "127.0.0.1", "localhost:80", "127.0.0.1:99999", "127.0.0.1:", "[::1:9"}) {
    const auto server = MetricsServer::start(text);
    REQUIRE_FALSE(server.has_value());
    CHECK(server.error().code == ErrorCode::invalid_argument);
  }
  const auto first = MetricsServer::start("127.0.0.1:0");
  REQUIRE(first.has_value());
  std::string taken = (*first)->url().substr(7);
  taken.resize(taken.find('/'));
  const auto second = MetricsServer::start(taken);
  REQUIRE_FALSE(second.has_value());
  CHECK(second.error().message.find(taken) != std::string::npos);
}

TEST_CASE("a process knows its memory, descriptors and processor time") {
  const ProcessUse before = process_use();
  CHECK(before.resident_bytes > 1'000'000);
  CHECK(before.open_descriptors >= 3);
  const int descriptor = dup(0);
  CHECK(process_use().open_descriptors == before.open_descriptors + 1);
  close(descriptor);
}

TEST_CASE("docs/limits.md lists every limit with its default and unit") {
  std::ifstream file(TESTUDO_TEST_DATA "/../docs/limits.md");
  std::stringstream text;
  text << file.rdbuf();
  for (const LimitInfo& info : limit_table) {
    const std::string row = "| `" + std::string(info.name) + "` | " + std::to_string(info.value) + " | " +
                            std::string(info.unit) + " | " + std::string(info.reason) + " | " +
                            std::string(info.attack) + " |";
    CHECK_MESSAGE(text.str().find(row) != std::string::npos, row);
  }
  for (std::size_t i = 0; i < limit_count; ++i) CHECK(limit_table[i].limit == static_cast<Limit>(i));
}
