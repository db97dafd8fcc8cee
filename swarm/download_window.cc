#include "swarm/download_window.h"

#include <algorithm>
#include <bit>

namespace testudo::swarm {

std::size_t DownloadWindow::request_bytes(std::size_t side_by_side) const {
  const std::size_t share = width_ / std::max<std::size_t>(side_by_side, 1);
  const std::size_t room = width_ - std::min(width_, on_its_way_);
  return std::clamp(std::bit_floor(std::max(share, room / 2)), least_request, greatest_request);
}

net::Task<void> DownloadWindow::enter(std::size_t bytes) {
  struct Turn {
    explicit Turn(DownloadWindow& w) : window(w), number(w.next_++) { window.waiting_.insert(number); }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    ~Turn() {
      window.waiting_.erase(number);
      window.changed_.pulse();
    }
    DownloadWindow& window;
    std::uint64_t number;
  };
  const Turn turn(*this);
  while (*waiting_.begin() != turn.number || !fits(bytes)) co_await changed_.wait();
}

DownloadWindow::OnItsWay::OnItsWay(DownloadWindow& window, std::size_t bytes)
    : window_(window),
      bytes_(bytes),
      asked_(window.scheduler_.now()),
      overdue_(window.scheduler_.after(overdue_after, [this] { overdue(); })) {
  window_.on_its_way_ += bytes_;
  window_.most_on_its_way_ = std::max(window_.most_on_its_way_, window_.on_its_way_);
}

void DownloadWindow::OnItsWay::arrived() {
  const net::TimePoint now = window_.scheduler_.now();
  if (now - asked_ <= quick && 2 * window_.most_on_its_way_ >= window_.width_) {
    window_.width_ = std::min(window_.width_ + bytes_, greatest_width);
  }
  window_.last_arrival_ = now;
  leave();
}

void DownloadWindow::OnItsWay::overdue() {
  const net::TimePoint now = window_.scheduler_.now();
  if (window_.last_arrival_ > asked_ && now >= window_.halve_from_) {
    window_.width_ = std::max(window_.width_ / 2, least_request);
    window_.halve_from_ = now + overdue_after;
  }
  leave();
}

void DownloadWindow::OnItsWay::leave() {
  window_.on_its_way_ -= std::exchange(bytes_, 0);
  if (window_.on_its_way_ == 0) window_.most_on_its_way_ = 0;
  overdue_ = net::Timer();
  window_.changed_.pulse();
}

}  // namespace testudo::swarm
