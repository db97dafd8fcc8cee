// MetricsServer: answers GET /metrics over HTTP with the text that was last published. It has a thread of its
// own, so that it answers also while the loop is busy, and never holds the loop up. Whoever reaches the port
// may read; nobody can make it hold more than 16 connections, 2 KiB of a request each, or any of them longer
// than two seconds in all.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "crypto/base/result.h"

namespace testudo::net {

class MetricsServer {
 public:
  // `address` as 127.0.0.1:9464 or [::1]:9464; port 0: any free one. Errors name it and the cause.
  static Result<std::unique_ptr<MetricsServer>> start(const std::string& address);
  // Whether it is written like that.
  static Result<void> check_address(const std::string& address);
  ~MetricsServer();
  MetricsServer(const MetricsServer&) = delete;
  MetricsServer& operator=(const MetricsServer&) = delete;

  // http://127.0.0.1:9464/metrics, with the real port.
  const std::string& url() const { return url_; }
  // Any thread.
  void publish(std::string text);

 private:
  struct Client;
  MetricsServer(int listener, int wake_read, int wake_write, std::string url);
  void run();
  bool serve(Client& client);
  std::string answer(const std::string& request);

  int listener_;
  int wake_read_, wake_write_;  // a pipe: closing its end stops the thread
  std::string url_;
  std::mutex mutex_;  // guards text_
  std::string text_;
  std::thread thread_;
};

}  // namespace testudo::net
