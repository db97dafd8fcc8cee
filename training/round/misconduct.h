// Misconduct: where a member of the tests and experiments breaks the rules from within: what it computes is
// honest, what it says of it is not, and it says the same to everybody. No program that takes part in runs
// has one. Loop thread, but for on_gradient and on_result (CPU pool).
#pragma once

#include <span>

#include "crypto/base/buffer.h"
#include "swarm/types.h"
#include "training/partition.h"

namespace testudo::training {

class Misconduct {
 public:
  virtual ~Misconduct() = default;
  // What it computed for this round, before anything is committed to; not what it recomputes of others.
  // `reduces`: the parts that it reduces itself.
  virtual void on_gradient(swarm::RoundNumber, std::span<const PartRange> /*reduces*/,
                           std::span<float> /*gradient*/) {}
  // What it is about to sign and broadcast.
  virtual void on_payload(const swarm::PhaseKey&, Bytes& /*payload*/) {}
  // A part that it reduced: the encoded result, which may become another one.
  virtual void on_result(swarm::RoundNumber, const PartRange&, Buffer& /*encoded*/) {}
};

}  // namespace testudo::training
