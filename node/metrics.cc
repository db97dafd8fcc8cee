#include "node/metrics.h"

#include "net/metrics/process_use.h"

namespace testudo::node {
namespace {

using net::Limit;
using net::Registry;

void collect_host(Registry& registry, net::NetworkHost& host) {
  const auto statistics = host.statistics();
  const std::string now = "Connections that passed their handshake and are open";
  registry.gauge("testudo_connections", now, {{"direction", "inbound"}})
      .set(std::uint64_t{statistics.inbound});
  registry.gauge("testudo_connections", now, {{"direction", "outbound"}})
      .set(std::uint64_t{statistics.outbound});
  const std::string ever = "Connections that ever passed their handshake";
  registry.counter("testudo_connections_established_total", ever, {{"direction", "inbound"}})
      .set(statistics.accepted);
  registry.counter("testudo_connections_established_total", ever, {{"direction", "outbound"}})
      .set(statistics.dialled);
  registry
      .counter("testudo_connections_evicted_total", "Connections that were closed to make room for others")
      .set(statistics.made_room);
  registry.gauge("testudo_handshakes_pending", "Handshakes that are going on")
      .set(std::uint64_t{host.pending_handshakes()});
  for (const auto& [code, count] : statistics.failed_handshakes) {
    registry
        .counter("testudo_handshakes_failed_total", "Handshakes that failed, on either side, by cause",
                 {{"cause", std::string(name(code))}})
        .set(count);
  }
  registry.gauge("testudo_streams", "Open streams of all connections").set(std::uint64_t{statistics.streams});
  const net::Traffic traffic = host.traffic();
  registry.counter("testudo_sent_bytes_total", "Bytes sent on all connections").set(traffic.bytes_sent);
  registry.counter("testudo_received_bytes_total", "Bytes received on all connections")
      .set(traffic.bytes_received);
}

void collect_limits(Registry& registry, net::NetworkHost& host) {
  host.measure();
  const net::Guard& guard = host.guard();
  for (const net::LimitInfo& limit : net::limit_table) {
    const Registry::Labels labels{{"limit", std::string(limit.name)}, {"unit", std::string(limit.unit)}};
    registry.gauge("testudo_limit", "What a peer, an address or all together may take", labels)
        .set(guard.limit(limit.limit));
    if (!limit.unit.ends_with("/s")) {
      registry
          .gauge("testudo_limit_used",
                 "How much of a limit is taken, for limits per something by whoever takes most", labels)
          .set(guard.used(limit.limit));
    }
    registry
        .counter("testudo_limit_refusals_total", "What was refused, delayed or ended because of a limit",
                 {{"limit", std::string(limit.name)}})
        .set(guard.refusals(limit.limit));
  }
  for (const auto& [protocol, use] : guard.protocols()) {
    const Registry::Labels labels{{"protocol", protocol}};
    registry
        .counter("testudo_messages_received_total", "Requests and frames that peers sent, by protocol",
                 labels)
        .set(use.requests);
    registry.counter("testudo_messages_answered_total", "Requests that were answered, by protocol", labels)
        .set(use.answers);
    registry
        .counter("testudo_messages_delayed_total",
                 "Requests and frames that waited for their rate, by protocol", labels)
        .set(use.delayed);
    registry.counter("testudo_misbehaviour_total", "Messages that broke a protocol, by protocol", labels)
        .set(use.offences);
    registry
        .counter("testudo_message_received_bytes_total", "Bytes of the messages received, by protocol",
                 labels)
        .set(use.bytes_received);
    registry.counter("testudo_message_sent_bytes_total", "Bytes of the messages sent, by protocol", labels)
        .set(use.bytes_sent);
  }
}

void collect_dht(Registry& registry, const dht::Dht& dht) {
  registry.gauge("testudo_dht_peers", "Peers in the routing table").set(std::uint64_t{dht.table().size()});
  const auto& statistics = dht.statistics();
  registry.counter("testudo_dht_lookups_total", "Look-ups this node made").set(statistics.lookups);
  registry.counter("testudo_dht_requests_total", "Requests this node sent in look-ups")
      .set(statistics.requests);
  registry.counter("testudo_dht_requests_failed_total", "Of those, how many got no good answer")
      .set(statistics.failed_requests);
  registry.counter("testudo_dht_bad_answers_total", "Answers that broke the protocol")
      .set(dht.misbehaviour().total());
}

void collect_process(Registry& registry) {
  const net::ProcessUse use = net::process_use();
  registry.gauge("testudo_process_resident_bytes", "Memory of the process that is in RAM")
      .set(use.resident_bytes);
  registry.gauge("testudo_process_open_descriptors", "Open files and sockets of the process")
      .set(use.open_descriptors);
  registry.counter("testudo_process_cpu_seconds_total", "Processor time of all threads").set(use.cpu_seconds);
  registry.gauge("testudo_build_info", "1; the version is in the label", {{"version", TESTUDO_VERSION}})
      .set(1.0);
}

}  // namespace

void collect_node_metrics(Registry& registry, net::NetworkHost& host, const dht::Dht& dht) {
  registry.add_collector([&host, &dht](Registry& into) {
    collect_host(into, host);
    collect_limits(into, host);
    collect_dht(into, dht);
    collect_process(into);
  });
}

RoundMetrics::RoundMetrics(Registry& registry, SessionObserver& next) : registry_(registry), next_(next) {}

void RoundMetrics::on_round_started(swarm::RoundNumber round) {
  registry_.gauge("testudo_round", "The round that is going on").set(round.value());
  next_.on_round_started(round);
}

void RoundMetrics::on_round(const training::RoundReport& report) {
  const bool applied = report.kind == swarm::OutcomeKind::apply;
  registry_
      .counter("testudo_rounds_total", "Rounds that ended, by outcome",
               {{"outcome", applied ? "applied" : "voided"}})
      .add();
  registry_.gauge("testudo_members", "Members of the run after the last round")
      .set(std::uint64_t{report.members});
  registry_.gauge("testudo_contributors", "Members whose work the last round contains")
      .set(std::uint64_t{report.contributors});
  registry_
      .histogram("testudo_round_seconds", "How long rounds took",
                 {0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000})
      .observe(report.seconds);
  for (const training::PhaseTime& phase : report.phases) {
    registry_
        .counter("testudo_round_phase_seconds_total", "Time spent in each phase of the rounds",
                 {{"phase", phase.phase}})
        .add(phase.seconds);
  }
  next_.on_round(report);
}

void RoundMetrics::on_removed(const swarm::Removal& removal, swarm::RoundNumber round) {
  registry_
      .counter("testudo_members_removed_total", "Members that lost their seat, by fault",
               {{"fault", std::string(name(removal.fault))}})
      .add();
  next_.on_removed(removal, round);
}

void RoundMetrics::on_admitted(const swarm::PeerId& peer, swarm::RoundNumber round) {
  registry_.counter("testudo_members_admitted_total", "Members that got a seat").add();
  next_.on_admitted(peer, round);
}

void RoundMetrics::on_strike(const swarm::Strike& strike, swarm::RoundNumber round) {
  registry_
      .counter("testudo_strikes_total", "Strikes, by reason", {{"reason", std::string(name(strike.reason))}})
      .add();
  next_.on_strike(strike, round);
}

void RoundMetrics::on_resting(const std::vector<swarm::PeerId>& resting, swarm::RoundNumber from) {
  registry_.gauge("testudo_members_resting", "Members that reduce nothing because of strikes")
      .set(std::uint64_t{resting.size()});
  next_.on_resting(resting, from);
}

}  // namespace testudo::node
