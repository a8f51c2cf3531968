// A program of its own on an installed fastcpp: trains a small network on points in a plane, draws
// its losses, saves it. Prints the table and "consumer: ok", and returns 0.
#include <torch/torch.h>

#include <exception>
#include <iostream>

#include <fastcpp/vision.hpp>

using namespace fastcpp;

namespace {

// Points whose class is the sign of their first coordinate.
std::shared_ptr<TensorDataset> points(std::int64_t n) {
  const auto x = torch::randn({n, 2});
  return std::make_shared<TensorDataset>(x, x.select(1, 0).gt(0).to(torch::kLong));
}

}  // namespace

int main() {
  try {
    torch::manual_seed(1);
    const auto data = DataBunch::create({points(320), points(80), nullptr, nullptr}, "consumer-out",
                                        {.bs = 32, .num_workers = 1, .classes = {"left", "right"}});
    torch::nn::Sequential network(torch::nn::Linear(2, 16), torch::nn::ReLU(),
                                  torch::nn::Linear(16, 2));
    Learner learn(data, Model(network), {.metrics = {accuracy}});
    learn.fit_one_cycle(5, {.max_lr = 0.03});
    learn.recorder().plot_losses().save(learn.path() / "losses.png");
    const auto file = learn.save("points");
    std::cout << "saved " << file.string() << "; the network of the lesson has "
              << models::resnet34.build()->parameters().size() << " parameter tensors\n";
    const bool good =
        learn.validate()[1] > 0.9 && learn.predict(torch::tensor({2.f, 0.f})).category == "right";
    std::cout << (good ? "consumer: ok\n" : "consumer: the network learned nothing\n");
    return good ? 0 : 1;
  } catch (const Error& error) {
    std::cerr << "consumer: " << error.what() << " [" << error.code() << "]\n";
    return 1;
  }
}
