#include "swarm/broadcaster.h"

#include <algorithm>

namespace testudo::swarm {

using net::Task;

Broadcaster::Broadcaster(net::Scheduler& scheduler, const crypto::KeyPair& self, Send send)
    : scheduler_(scheduler), self_(self), send_(std::move(send)), changed_(scheduler) {}

Task<AgreedBroadcast::MessageSet> Broadcaster::agree(AgreedBroadcast::Setup setup, Bytes payload) {
  const PhaseKey key = setup.key;
  collect_evidence();
  machine_ = std::make_unique<AgreedBroadcast>(std::move(setup), self_);
  machine_->send(scheduler_.now(), std::move(payload));
  // What came early, in the order of its arrival.
  if (auto early = early_.extract(key)) {
    for (Early& waiting : early.mapped()) {
      auto& [frames, bytes] = early_load_[waiting.from];
      --frames;
      bytes -= waiting.size;
      machine_->receive(scheduler_.now(), waiting.frame);
    }
  }
  for (const auto& [due, waiting] : unknown_) {
    if (due == key) machine_->receive(scheduler_.now(), waiting.frame);
  }
  std::erase_if(unknown_, [&](const auto& entry) { return entry.first <= key; });
  flush();
  while (!machine_->finished()) {
    net::Timer timer = scheduler_.at(machine_->next_deadline(), [this] {
      machine_->advance(scheduler_.now());
      flush();
      changed_.pulse();
    });
    co_await changed_.wait();
  }
  if (!machine_->fast()) ++slow_phases_;
  collect_evidence();
  co_return machine_->result();
}

bool Broadcaster::receive(const PeerId& from, const BroadcastFrame& frame, std::size_t size) {
  const auto key = key_of(frame);
  if (!key) return false;
  if (machine_ && *key == machine_->key()) {
    const bool was_finished = machine_->finished();
    const bool valid = machine_->receive(scheduler_.now(), frame);
    flush();
    if (machine_->finished() && !was_finished) changed_.pulse();
    return valid;
  }
  if (machine_ && *key < machine_->key()) return true;  // late, and of no use any more
  auto& [frames, bytes] = early_load_[from];
  if (frames >= early_frames_per_peer || bytes + size > early_bytes_per_peer) return true;
  ++frames;
  bytes += size;
  early_[*key].push_back({from, frame, size});
  return true;
}

void Broadcaster::receive_of_unknown(const PeerId& from, const BroadcastFrame& frame, std::size_t size) {
  const auto key = key_of(frame);
  if (!key || size > unknown_frame_bytes || (machine_ && *key <= machine_->key())) return;
  const auto of_peer = [&](const auto& entry) { return entry.second.from == from; };
  if (std::ranges::count_if(unknown_, of_peer) == unknown_frames_per_peer) {
    unknown_.erase(std::ranges::find_if(unknown_, of_peer));
  }
  if (unknown_.size() == unknown_frames) unknown_.pop_front();
  unknown_.emplace_back(*key, Early{from, frame, size});
}

void Broadcaster::forget_before(RoundNumber round, Attempt attempt) {
  const PhaseKey first{round, attempt, Phase::commit};
  while (!early_.empty() && early_.begin()->first < first) {
    for (const Early& waiting : early_.begin()->second) {
      auto& [frames, bytes] = early_load_[waiting.from];
      --frames;
      bytes -= waiting.size;
    }
    early_.erase(early_.begin());
  }
  std::erase_if(unknown_, [&](const auto& entry) { return entry.first < first; });
  std::erase_if(early_load_, [](const auto& entry) { return entry.second.first == 0; });
}

void Broadcaster::flush() {
  const AgreedBroadcast::Setup& setup = machine_->setup();
  for (const BroadcastFrame& frame : machine_->take_output()) send_(setup.expected, encode(frame));
  for (const auto& [author, frame] : machine_->take_forwards()) {
    std::vector<PeerId> to(setup.unreachable.begin(), setup.unreachable.end());
    std::erase(to, author);
    send_(to, encode(frame));
  }
}

void Broadcaster::collect_evidence() {
  if (!machine_) return;
  for (const auto& [offender, equivocation] : machine_->equivocations()) add_evidence(equivocation);
}

void Broadcaster::add_evidence(const Equivocation& equivocation) {
  if (evidence_.size() < evidence_limit) evidence_.try_emplace(equivocation.offender, equivocation);
}

}  // namespace testudo::swarm
