// Files of PyTorch, of all their kinds, told apart by content.
#include "fastcpp/io/checkpoint.hpp"

#include "fuzz.hpp"

using namespace fastcpp;

FASTCPP_FUZZ_TARGET(checkpoint)(std::string_view input) {
  const fuzz::InputFile file(input);
  fuzz::accepted([&] { load_checkpoint(file.path()).to_string(); });
  fuzz::accepted([&] {
    for (const auto& [name, tensor] : load_weights(file.path())) {
      if (tensor.numel() < 1000) (void)tensor.clone();
    }
  });
}
