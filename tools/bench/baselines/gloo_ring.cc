// testudo-bench-gloo RANK MEMBERS FOLDER VALUES TURNS: one process of a ring all-reduce with Gloo over TCP,
// the baseline of `testudo bench round`. Says a "turn" as the workers of tools/bench/round_roles.h do.
#include <gloo/allreduce.h>
#include <gloo/barrier.h>
#include <gloo/math.h>
#include <gloo/rendezvous/context.h>
#include <gloo/rendezvous/file_store.h>
#include <gloo/transport/tcp/device.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <memory>
#include <vector>

namespace {

double seconds(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

int run(int rank, int members, const char* folder, std::size_t values, int turns) {
  gloo::transport::tcp::attr attributes;
  attributes.iface = "lo";
  auto device = gloo::transport::tcp::CreateDevice(attributes);
  gloo::rendezvous::FileStore store(folder);
  auto context = std::make_shared<gloo::rendezvous::Context>(rank, members);
  context->connectFullMesh(store, device);

  std::vector<float> vector(values, 1.0F);
  for (int turn = 0; turn < turns; ++turn) {
    gloo::BarrierOptions barrier(context);
    gloo::barrier(barrier);
    const double start = seconds(CLOCK_MONOTONIC);
    const double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    gloo::AllreduceOptions options(context);
    options.setOutput(vector.data(), vector.size());
    options.setAlgorithm(gloo::AllreduceOptions::Algorithm::RING);
    options.setReduceFunction(
        static_cast<void (*)(void*, const void*, const void*, std::size_t)>(&gloo::sum<float>));
    gloo::allreduce(options);
    std::printf("{\"event\": \"turn\", \"start\": %.9f, \"end\": %.9f, \"cpu\": %.9f}\n", start,
                seconds(CLOCK_MONOTONIC), seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu);
    std::fflush(stdout);
    float expected = 1;
    for (int i = 0; i <= turn; ++i) expected *= static_cast<float>(members);
    if (vector[values / 2] != expected) return 1;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(stderr, "usage: testudo-bench-gloo RANK MEMBERS FOLDER VALUES TURNS\n");
    return 2;
  }
  try {
    return run(std::atoi(argv[1]), std::atoi(argv[2]), argv[3], std::strtoull(argv[4], nullptr, 10),
               std::atoi(argv[5]));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "testudo-bench-gloo: %s\n", error.what());
    return 1;
  }
}
