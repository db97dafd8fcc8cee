// What is attacked: a real process, `testudo bootstrap` or a member of a run that trains all the while, and
// what can be seen of it from outside. One thread, which runs the scheduler's loop.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "net/address/multiaddr.h"
#include "net/async/libuv_scheduler.h"

namespace testudo::attack {

struct Use {
  double resident_mib = 0;
  std::size_t descriptors = 0;
};

// Until `condition` holds or the time is over.
void wait(net::LibuvScheduler& scheduler, net::Duration limit, const std::function<bool()>& condition);

class Victim {
 public:
  enum class Kind { bootstrap, member };

  // Throws std::runtime_error where it does not start. A member is the founder of a small synthetic run, with
  // two others and a bootstrap node around it; it has applied some rounds when this returns.
  Victim(net::LibuvScheduler& scheduler, Kind kind, const std::string& ip, const std::string& folder);
  ~Victim();

  net::PeerAddress address() const;
  Use use() const;
  bool runs() const;
  // Rounds that it has applied; none for a bootstrap node.
  std::uint64_t rounds() const;
  // What it refused so far, by limit. Throws where its metrics are malformed.
  std::map<std::string, double> refusals() const;

 private:
  struct Program;
  Program& start(const std::string& data, std::vector<std::string> arguments);
  Program& start_run();
  void must(const Program& program, const std::function<bool()>& condition);

  net::LibuvScheduler& scheduler_;
  std::string listen_;
  std::string folder_;
  std::vector<std::unique_ptr<Program>> programs_;
  Program* attacked_ = nullptr;
};

}  // namespace testudo::attack
