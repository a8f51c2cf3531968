// Predicts pictures with a model that Learner::export_model wrote, and needs nothing but that file:
//
//   predict MODEL PICTURE...
#include <exception>
#include <iostream>

#include <fastcpp/core/error.hpp>
#include <fastcpp/deploy/predictor.hpp>

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: predict MODEL PICTURE...\n";
    return 2;
  }
  try {
    const fastcpp::Predictor predictor(argv[1]);
    std::cout.precision(9);
    for (int i = 2; i < argc; ++i) {
      const auto prediction = predictor.predict(argv[i]);
      std::cout << argv[i] << ": " << prediction.category;
      // Numbers have no classes.
      if (!predictor.classes().empty()) {
        for (const auto& [category, index, probability] : predictor.top_k(prediction, 3)) {
          std::cout << "  " << category << ' ' << probability;
        }
      }
      std::cout << '\n';
    }
    return 0;
  } catch (const fastcpp::Error& error) {
    std::cerr << "predict: " << error.what() << " [" << error.code() << "]\n";
    return 1;
  }
}
