#include "net/async/libuv_scheduler.h"

#include "crypto/base/check.h"

namespace testudo::net {

struct LibuvScheduler::SignalHandle {
  uv_signal_t handle{};
  std::function<void()> function;
};

namespace {
TimePoint loop_time() { return TimePoint(std::chrono::nanoseconds(uv_hrtime())); }

template <typename Handle>
uv_handle_t* as_handle(Handle* handle) {
  return reinterpret_cast<uv_handle_t*>(handle);
}
}  // namespace

LibuvScheduler::LibuvScheduler() {
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
  closing_ = true;
  uv_close(as_handle(&check_), nullptr);
  uv_close(as_handle(&idle_), nullptr);
  uv_close(as_handle(&timer_), nullptr);
  uv_close(as_handle(&async_), nullptr);
  for (auto& signal : signals_) uv_close(as_handle(&signal->handle), nullptr);
  uv_run(&loop_, UV_RUN_DEFAULT);  // also waits for the work that still runs on the pool
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
  struct Job {
    uv_work_t request{};
    LibuvScheduler* scheduler;
    std::function<void()> work;
    std::function<void()> done;
  };
  auto* job = new Job{.scheduler = this, .work = std::move(work), .done = std::move(done)};
  job->request.data = job;
  const int status = uv_queue_work(
      &loop_, &job->request, [](uv_work_t* request) { static_cast<Job*>(request->data)->work(); },
      [](uv_work_t* request, int) {
        std::unique_ptr<Job> finished(static_cast<Job*>(request->data));
        finished->scheduler->post(std::move(finished->done));
      });
  TESTUDO_CHECK(status == 0);
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
  // Work of the pool may still finish while we close: starting a closed handle would keep the loop forever.
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
