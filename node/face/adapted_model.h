// AdaptedModel: a model of the public face as one that the round takes. Exceptions become errors, what does
// not fit is refused. Threads: as training::Model says.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "node/face/loop.h"
#include "training/model.h"

namespace testudo::face {

// Calls into the user's objects, that end for good at some moment. Any thread.
class Gate {
 public:
  bool enter();
  void leave();
  // From now on nobody enters.
  void close();
  // Until whoever is inside has left.
  void wait_empty();

 private:
  std::mutex mutex_;
  std::condition_variable left_;
  int inside_ = 0;
  bool closed_ = false;
};

class AdaptedModel final : public training::Model {
 public:
  // `on_problem` hears of every failure, on the thread of the call.
  AdaptedModel(std::shared_ptr<testudo::Model> model, std::shared_ptr<LoopHandle> loop,
               std::shared_ptr<Gate> gate, std::function<void(const std::string&)> on_problem);

  // Asks the model for its size: before anything else is called.
  Result<void> measure();
  // Draws the initial parameters, on the pool. Errors: what the model throws;
  // `invalid_argument` for a vector of another size.
  Result<void> draw(const Digest& seed);

  std::size_t parameter_count() const override { return parameter_count_; }
  std::vector<float> initial_parameters(const Digest&) const override { return initial_; }
  Result<training::Contribution> contribution(std::span<const float> parameters, const Digest& seed,
                                              std::uint32_t samples, std::span<float> gradient) override;
  Result<training::Evaluation> evaluate(std::span<const float> parameters) override;
  std::vector<training::NamedTensorInfo> layout() const override;

 private:
  template <typename Work>
  auto guarded(const char* what, Work work) -> Result<decltype(work())>;

  std::shared_ptr<testudo::Model> model_;
  std::shared_ptr<LoopHandle> loop_;
  std::shared_ptr<Gate> gate_;
  std::function<void(const std::string&)> on_problem_;
  std::size_t parameter_count_ = 0;
  std::vector<float> initial_;
};

}  // namespace testudo::face
