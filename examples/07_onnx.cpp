// Predicts pictures with a file that fastcpp::export_onnx wrote, by OpenCV's dnn: with neither LibTorch nor fastcpp.
//
//   07_onnx MODEL.onnx PICTURE...
//
// A picture of the network's size gives the probabilities that fastcpp gives. Others are cut to its shape and scaled here by
// OpenCV, which differs from fastcpp's resampling in the last digits.
#include <algorithm>
#include <cstdint>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <iterator>
#include <map>
#include <numeric>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>
#include <opencv2/dnn.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

namespace {

// A message of protocol buffers, field by field.
struct Fields {
  std::string_view rest;
  std::uint64_t number = 0;
  std::string_view content = {};  // of texts and messages

  std::uint64_t varint() {
    for (std::uint64_t value = 0, shift = 0; !rest.empty() && shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(rest.front());
      rest.remove_prefix(1);
      value |= std::uint64_t{byte & 0x7FU} << shift;
      if (byte < 0x80U) return value;
    }
    throw std::runtime_error("this is no ONNX file");
  }
  bool next() {
    if (rest.empty()) return false;
    const auto tag = varint();
    number = tag >> 3U;
    if ((tag & 7U) == 0) return varint(), true;
    const auto length = varint();
    if ((tag & 7U) != 2 || length > rest.size()) throw std::runtime_error("this is no ONNX file");
    content = rest.substr(0, length);
    rest.remove_prefix(length);
    return true;
  }
};

// What export_onnx says about the model. OpenCV does not tell it; it stands in the fields 14 of the file.
std::map<std::string, nlohmann::json> metadata(std::string_view file) {
  std::map<std::string, nlohmann::json> all;
  for (Fields model{file}; model.next();) {
    if (model.number != 14) continue;
    std::string key, value;
    for (Fields entry{model.content}; entry.next();)
      (entry.number == 1 ? key : value) = entry.content;
    all[key] = nlohmann::json::parse(value);
  }
  return all;
}

// The middle of a picture in the shape of the network's input, RGB, 1 x rows x columns x 3.
cv::Mat input_of(const std::string& file, int rows, int cols) {
  const auto picture = cv::imread(file, cv::IMREAD_COLOR | cv::IMREAD_IGNORE_ORIENTATION);
  if (picture.empty()) throw std::runtime_error("'" + file + "' is no picture");
  const double scale = std::max(double(rows) / picture.rows, double(cols) / picture.cols);
  const cv::Size part(std::min(picture.cols, cvRound(cols / scale)),
                      std::min(picture.rows, cvRound(rows / scale)));
  const cv::Point corner((picture.cols - part.width) / 2, (picture.rows - part.height) / 2);
  cv::Mat scaled;
  cv::resize(picture(cv::Rect(corner, part)), scaled, {cols, rows}, 0, 0,
             scale < 1 ? cv::INTER_AREA : cv::INTER_LINEAR);
  cv::cvtColor(scaled, scaled, cv::COLOR_BGR2RGB);
  return scaled.reshape(1, {1, rows, cols, 3}).clone();
}

void print(const std::string& file, const cv::Mat& outputs, const nlohmann::json& classes) {
  const std::vector<float> numbers(outputs.begin<float>(), outputs.end<float>());
  std::vector<std::size_t> order(numbers.size());
  std::iota(order.begin(), order.end(), 0);
  const bool named = classes.size() == numbers.size();  // else they are numbers, in their order
  if (named)
    std::sort(order.begin(), order.end(), [&](auto a, auto b) { return numbers[a] > numbers[b]; });
  std::cout << file << ':';
  for (std::size_t i = 0; i < std::min<std::size_t>(3, order.size()); ++i) {
    std::cout << "  " << (named ? classes[order[i]].get<std::string>() + " " : "")
              << numbers[order[i]];
  }
  std::cout << '\n';
}

void predict(const std::string& model, const std::vector<std::string>& pictures) {
  std::ifstream from(model, std::ios::binary);
  const std::string file(std::istreambuf_iterator<char>(from), {});
  if (file.empty()) throw std::runtime_error("'" + model + "' cannot be read");
  const auto about = metadata(file);
  const int rows = about.at("size").at(0), cols = about.at("size").at(1);
  auto net = cv::dnn::readNetFromONNX(file.data(), file.size());
  for (const auto& picture : pictures) {
    net.setInput(input_of(picture, rows, cols));
    print(picture, net.forward(), about.at("classes"));
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: 07_onnx MODEL.onnx PICTURE...\n";
    return 2;
  }
  try {
    std::cout << std::fixed << std::setprecision(5);
    predict(argv[1], {argv + 2, argv + argc});
    return 0;
  } catch (const std::exception& e) {
    std::cerr << "07_onnx: " << e.what() << '\n';
    return 1;
  }
}
