#include "net/async/libuv_scheduler.h"

#include <pthread.h>

#include <cerrno>
#include <csignal>
#include <ctime>

#include "crypto/base/check.h"

namespace testudo::net {

struct LibuvScheduler::SignalHandle {
  uv_signal_t handle{};
  std::function<void()> function;
};

namespace {
TimePoint loop_time() { return TimePoint(std::chrono::nanoseconds(uv_hrtime())); }

// One for the contribution, one for an evaluation beside it, one for coding and aggregation, which must not
// wait behind those two. A model computes on one thread, so that results do not depend on the machine.
constexpr std::size_t pool_threads = 3;

sigset_t broken_pipe_only() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGPIPE);
  return set;
}

template <typename Handle>
uv_handle_t* as_handle(Handle* handle) {
  return reinterpret_cast<uv_handle_t*>(handle);
}
}  // namespace

BrokenPipesAreErrors::BrokenPipesAreErrors() {
  const sigset_t set = broken_pipe_only();
  sigset_t before;
  pthread_sigmask(SIG_BLOCK, &set, &before);
  blocked_before_ = sigismember(&before, SIGPIPE) == 1;
}

BrokenPipesAreErrors::~BrokenPipesAreErrors() {
  if (blocked_before_) return;
  // The kernel sends it to the thread that wrote, where it waits: it must not strike when the mask falls.
  const sigset_t set = broken_pipe_only();
  const timespec at_once{};
  while (sigtimedwait(&set, nullptr, &at_once) == SIGPIPE || errno == EINTR) {
  }
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

LibuvScheduler::LibuvScheduler() : pool_(std::make_unique<CpuPool>(pool_threads)) {
  TESTUDO_CHECK(uv_loop_init(&loop_) == 0);
  check_.data = idle_.data = timer_.data = async_.data = this;
  uv_check_init(&loop_, &check_);
  uv_idle_init(&loop_, &idle_);
  uv_timer_init(&loop_, &timer_);
  TESTUDO_CHECK(uv_async_init(&loop_, &async_, [](uv_async_t* async) {
                  auto* self = static_cast<LibuvScheduler*>(async->data);
                  std::vector<std::function<void()>> functions;
                  {
                    std::lock_guard lock(self->mutex_);
                    functions.swap(self->from_other_threads_);
                  }
                  for (auto& function : functions) self->post(std::move(function));
                }) == 0);
  uv_check_start(&check_, [](uv_check_t* check) { static_cast<LibuvScheduler*>(check->data)->turn(); });
  set_now(loop_time());
}

LibuvScheduler::~LibuvScheduler() {
  pool_.reset();  // waits for the work that runs
  closing_ = true;
  uv_close(as_handle(&check_), nullptr);
  uv_close(as_handle(&idle_), nullptr);
  uv_close(as_handle(&timer_), nullptr);
  uv_close(as_handle(&async_), nullptr);
  for (auto& signal : signals_) uv_close(as_handle(&signal->handle), nullptr);
  uv_run(&loop_, UV_RUN_DEFAULT);  // also waits for look-ups of names that are under way
  TESTUDO_CHECK(uv_loop_close(&loop_) == 0);
}

UnixTime LibuvScheduler::unix_now() const {
  return std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

void LibuvScheduler::post_from_any_thread(std::function<void()> function) {
  {
    std::lock_guard lock(mutex_);
    from_other_threads_.push_back(std::move(function));
  }
  uv_async_send(&async_);
}

void LibuvScheduler::offload(std::function<void()> work, std::function<void()> done) {
  pool_->submit([this, work = std::move(work), done = std::move(done)]() mutable {
    work();
    // Both come back: what they own ends on the loop thread.
    post_from_any_thread([work = std::move(work), done = std::move(done)] { done(); });
  });
}

void LibuvScheduler::run() {
  stopping_ = false;
  run_until([this] { return stopping_; });
}

void LibuvScheduler::run_until(const std::function<bool()>& finished) {
  turn();
  while (!finished()) uv_run(&loop_, UV_RUN_ONCE);
}

void LibuvScheduler::stop() {
  stopping_ = true;
  wake();
}

void LibuvScheduler::on_signal(int number, std::function<void()> function) {
  auto signal = std::make_unique<SignalHandle>();
  signal->function = std::move(function);
  signal->handle.data = signal.get();
  uv_signal_init(&loop_, &signal->handle);
  uv_signal_start(
      &signal->handle, [](uv_signal_t* handle, int) { static_cast<SignalHandle*>(handle->data)->function(); },
      number);
  uv_unref(as_handle(&signal->handle));
  signals_.push_back(std::move(signal));
}

void LibuvScheduler::wake() {
  // A look-up may still finish while we close: starting a closed handle would keep the loop forever.
  if (closing_) return;
  // Within a turn arm() follows; outside, an active idle handle keeps the next poll from blocking.
  if (!in_turn_) uv_idle_start(&idle_, [](uv_idle_t*) {});
}

void LibuvScheduler::turn() {
  in_turn_ = true;
  run_turn(loop_time());
  in_turn_ = false;
  arm();
}

void LibuvScheduler::arm() {
  if (has_ready_work() || stopping_) {
    uv_idle_start(&idle_, [](uv_idle_t*) {});
  } else {
    uv_idle_stop(&idle_);
  }
  uv_timer_stop(&timer_);
  if (has_timers()) {
    const Duration left = next_timer() - loop_time();
    // libuv counts whole milliseconds from its own cached time: refresh that, and round up.
    uv_update_time(&loop_);
    const auto milliseconds = left <= 0ns ? 0 : (left + 999'999ns) / 1'000'000ns;
    uv_timer_start(
        &timer_, [](uv_timer_t* timer) { static_cast<LibuvScheduler*>(timer->data)->wake(); },
        static_cast<std::uint64_t>(milliseconds), 0);
  }
}

}  // namespace testudo::net
