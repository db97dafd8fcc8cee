// testudo-bench-mpi VALUES TURNS, under mpirun: an all-reduce with Open MPI, the baseline of `testudo bench
// round`, which chooses the ring and TCP. The first process says a "turn" with the earliest start and the
// latest end of all, and the CPU seconds of all.
#include <mpi.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <vector>

namespace {

double seconds(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

}  // namespace

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  if (argc != 3) {
    std::fprintf(stderr, "usage: mpirun -np MEMBERS testudo-bench-mpi VALUES TURNS\n");
    MPI_Abort(MPI_COMM_WORLD, 2);
  }
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  std::vector<float> input(std::strtoull(argv[1], nullptr, 10), 1.0F);
  std::vector<float> output(input.size());
  for (int turn = 0; turn < std::atoi(argv[2]); ++turn) {
    MPI_Barrier(MPI_COMM_WORLD);
    const double start = seconds(CLOCK_MONOTONIC);
    const double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    MPI_Allreduce(input.data(), output.data(), static_cast<int>(input.size()), MPI_FLOAT, MPI_SUM,
                  MPI_COMM_WORLD);
    const double end = seconds(CLOCK_MONOTONIC);
    const double used = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    double first = 0;
    double last = 0;
    double all_used = 0;
    MPI_Reduce(&start, &first, 1, MPI_DOUBLE, MPI_MIN, 0, MPI_COMM_WORLD);
    MPI_Reduce(&end, &last, 1, MPI_DOUBLE, MPI_MAX, 0, MPI_COMM_WORLD);
    MPI_Reduce(&used, &all_used, 1, MPI_DOUBLE, MPI_SUM, 0, MPI_COMM_WORLD);
    if (rank == 0) {
      std::printf("{\"event\": \"turn\", \"start\": %.9f, \"end\": %.9f, \"cpu\": %.9f}\n", first, last,
                  all_used);
      std::fflush(stdout);
    }
  }
  MPI_Finalize();
  return 0;
}
