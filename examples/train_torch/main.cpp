// Trains a module of its own on data of its own, together with others: which points lie inside a circle.
//
//   testudo bootstrap --listen /ip4/127.0.0.1/tcp/4040      # prints ADDRESS
//   train_torch ADDRESS new                                 # prints the run id, and waits for another
//   train_torch ADDRESS RUN                                 # … and trains with it
#include <testudo/node.h>
#include <testudo/torch.h>

#include <iostream>

namespace {

// A grid of points in the square of side 2, shifted so that training and held-out points differ.
testudo::TorchData points(float shift) {
  const auto line = torch::arange(0, 20, torch::kFloat32) / 10 - 1 + shift;
  const auto grid = torch::meshgrid({line, line}, "ij");
  const auto inputs = torch::stack({grid[0].flatten(), grid[1].flatten()}, 1);
  return {inputs, inputs.square().sum(1).lt(0.5).to(torch::kInt64)};
}

std::shared_ptr<testudo::Model> make_model() {
  torch::nn::Sequential net(torch::nn::Linear(2, 16), torch::nn::ReLU(), torch::nn::Linear(16, 2));
  return testudo::torch_model(net, points(0.0F), points(0.05F));
}

class Printer : public testudo::RunObserver {
 public:
  void on_round(const testudo::RoundReport& report) override {
    std::cout << "round " << report.round << " loss " << report.loss << " parameters " << report.parameters;
    if (report.evaluation) std::cout << " accuracy " << report.evaluation->accuracy;
    std::cout << std::endl;
  }
  void on_problem(const std::string& what) override { std::cerr << what << "\n"; }
};

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 3) return std::cerr << "usage: train_torch ADDRESS new|RUN\n", 2;
  testudo::NodeOptions options;
  options.bootstrap = {argv[1]};
  testudo::Node node(options);
  testudo::JoinOptions part;
  part.model = make_model();
  part.evaluator = make_model();
  part.observer = std::make_shared<Printer>();
  std::string run = argv[2];
  if (run == "new") {
    testudo::RunOptions rules;
    rules.model = "circle";
    rules.rounds = 60;
    rules.learning_rate = {{0, 0.3F}, {rules.rounds, 0.0F}};
    run = node.found_run(rules, part.model);
    std::cout << "run " << run << std::endl;
  }
  node.join(run, part).wait();
} catch (const testudo::Exception& error) {
  return std::cerr << "train_torch: " << error.what() << "\n", 1;
}
