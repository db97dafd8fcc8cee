// Averages a vector with others, who find one another through a bootstrap node.
//
//   testudo bootstrap --listen /ip4/127.0.0.1/tcp/4040      # prints ADDRESS
//   average ADDRESS new 1 2 3                               # prints the run id, and waits for two others
//   average ADDRESS RUN 3 2 1                               # … and the mean, when three were there
#include <testudo/node.h>

#include <cstdlib>
#include <iostream>

// Pulls x towards its vector: at a learning rate of 1, the mean gradient takes x to the mean of the vectors.
class Towards : public testudo::Model, public testudo::RunObserver {
 public:
  explicit Towards(std::vector<float> vector) : vector_(std::move(vector)) {}
  std::size_t parameter_count() const override { return vector_.size(); }
  std::vector<float> initial_parameters(const testudo::Seed&) override {
    return std::vector<float>(vector_.size());
  }
  testudo::Contribution contribution(testudo::FloatView x, const testudo::Seed&, std::uint32_t) override {
    testudo::Contribution result{std::vector<float>(x.size), 1, 0};
    for (std::size_t i = 0; i < x.size; ++i) result.gradient[i] = x[i] - vector_[i];
    return result;
  }
  void on_round(const testudo::RoundReport& report) override { averaged = report.contributors; }
  std::size_t averaged = 0;  // in the last round: read it when the run is over

 private:
  std::vector<float> vector_;
};

int main(int argc, char** argv) try {
  if (argc < 4) return std::cerr << "usage: average ADDRESS new|RUN VALUE...\n", 2;
  std::vector<float> vector;
  for (int i = 3; i < argc; ++i) vector.push_back(std::strtof(argv[i], nullptr));
  testudo::NodeOptions options;
  options.bootstrap = {argv[1]};
  testudo::Node node(options);
  const auto towards = std::make_shared<Towards>(vector);
  const testudo::JoinOptions part{towards, nullptr, 0, towards};
  std::string run = argv[2];
  if (run == "new") {
    testudo::RunOptions rules;
    rules.model = "average of " + std::to_string(vector.size());
    rules.rounds = 1000;  // of milliseconds: members get their seats within the first seconds
    rules.start_members = 3;
    rules.learning_rate = {{0, 1.0F}};
    rules.momentum = 0;
    rules.rule = "mean";
    rules.codec = "fp32";
    run = node.found_run(rules, towards);
    std::cout << run << std::endl;
  }
  testudo::Run joined = node.join(run, part);
  for (const float value : joined.wait().parameters) std::cout << value << "\n";
  std::cerr << "the mean of " << towards->averaged << " vectors\n";
  return towards->averaged == 3 ? 0 : 1;
} catch (const testudo::Exception& error) {
  return std::cerr << "average: " << error.what() << "\n", 1;
}
