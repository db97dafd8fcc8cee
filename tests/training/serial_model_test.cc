// SerialModel: calls from several threads reach the model one after another.
#include "training/serial_model.h"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <thread>

namespace testudo::training {
namespace {

// Stays in its first call until a second one is inside, or for a moment.
class Meeting final : public Model {
 public:
  std::size_t parameter_count() const override { return 1; }
  std::vector<float> initial_parameters(const Digest&) const override { return {0}; }
  Result<Contribution> contribution(std::span<const float>, const Digest&, std::uint32_t samples,
                                    std::span<float>) override {
    std::unique_lock lock(mutex_);
    ++calls_;
    ++inside_;
    if (inside_ > 1) met_ = true;
    changed_.notify_all();
    if (calls_ == 1) changed_.wait_for(lock, std::chrono::milliseconds(200), [this] { return met_; });
    --inside_;
    return Contribution{samples, 0};
  }
  Result<Evaluation> evaluate(std::span<const float>) override { return Evaluation{}; }
  std::vector<NamedTensorInfo> layout() const override { return {}; }

  bool met() const { return met_; }
  int calls() const { return calls_; }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int inside_ = 0;
  int calls_ = 0;
  bool met_ = false;
};

bool two_calls_meet(Model& model, const Meeting& meeting) {
  const auto call = [&model] {
    std::array<float, 1> gradient{};
    (void)model.contribution(std::array<float, 1>{}, {}, 1, gradient);
  };
  {
    const std::jthread one(call);
    const std::jthread other(call);
  }
  CHECK(meeting.calls() == 2);
  return meeting.met();
}

TEST_CASE("calls from two threads meet in a model, and not in a serial one") {
  const auto bare = std::make_shared<Meeting>();
  CHECK(two_calls_meet(*bare, *bare));
  const auto guarded = std::make_shared<Meeting>();
  SerialModel serial(guarded);
  CHECK_FALSE(two_calls_meet(serial, *guarded));
}

}  // namespace
}  // namespace testudo::training
