#include "deploy/onnx_runtimes.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/utils.h>

#include <cstdlib>
#include <fstream>
#include <protozero/pbf_reader.hpp>

#ifdef FASTCPP_OPENCV_DNN
#include <opencv2/dnn.hpp>
#endif

#include "support/catch.hpp"
#include "support/python.hpp"

namespace fastcpp::test {

double gap(const torch::Tensor& a, const torch::Tensor& b) {
  REQUIRE(a.sizes() == b.sizes());
  return (a - b).abs().max().item<double>();
}

torch::Tensor pixels(std::int64_t n, std::int64_t rows, std::int64_t cols) {
  torch::manual_seed(n);
  return torch::randint(0, 256, {n, rows, cols, 3}, torch::kUInt8);
}

#ifdef FASTCPP_OPENCV_DNN
bool has_opencv_dnn() {
  return true;
}

torch::Tensor run_in_opencv(const OnnxCase& one) {
  auto net = cv::dnn::readNetFromONNX(one.model.string());
  net.setPreferableBackend(cv::dnn::DNN_BACKEND_OPENCV);
  const auto x = one.input.contiguous();
  std::vector<int> shape;
  for (const auto side : x.sizes()) shape.push_back(static_cast<int>(side));
  const cv::Mat batch(shape, x.scalar_type() == torch::kUInt8 ? CV_8U : CV_32F, x.data_ptr());
  net.setInput(batch);
  const cv::Mat out = net.forward();
  REQUIRE(out.type() == CV_32F);
  std::vector<std::int64_t> sizes;
  for (int i = 0; i < out.dims; ++i) sizes.push_back(out.size[i]);
  return torch::from_blob(const_cast<uchar*>(out.data), sizes, torch::kFloat32).clone();
}
#else
bool has_opencv_dnn() {
  return false;
}
torch::Tensor run_in_opencv(const OnnxCase&) {
  return {};
}
#endif

namespace {

constexpr const char* kJavaScript = R"js(
const ort = require('onnxruntime-node'), fs = require('fs');
(async () => {
  for (const c of JSON.parse(fs.readFileSync('cases.json'))) {
    const inputs = {}, arrays = {uint8: Uint8Array, int64: BigInt64Array, float32: Float32Array};
    for (const one of c.inputs) {
      const raw = fs.readFileSync(one.file);
      const bytes = raw.buffer.slice(raw.byteOffset, raw.byteOffset + raw.byteLength);
      inputs[one.name] = new ort.Tensor(one.type, new arrays[one.type](bytes), one.shape);
    }
    const session = await ort.InferenceSession.create(c.model, {logSeverityLevel: 3});
    const out = (await session.run(inputs)).output;
    fs.writeFileSync(c.output, new Uint8Array(out.data.buffer, out.data.byteOffset, out.data.byteLength));
    fs.writeFileSync(c.output + '.shape', out.dims.join(' '));
    await session.release();
  }
})().catch(e => { console.error(e); process.exit(1); });
)js";

std::string node() {
  const char* given = std::getenv("FASTCPP_NODE");
  return given ? given : "node";
}

const char* type_name(torch::ScalarType type) {
  return type == torch::kUInt8 ? "uint8" : type == torch::kInt64 ? "int64" : "float32";
}

// The content of a ValueInfoProto.
std::string port_text(protozero::pbf_reader port) {
  std::string text;
  while (port.next()) {
    if (port.tag() == 1) {
      text += port.get_string();
    } else if (port.tag() == 2) {
      auto type = port.get_message();
      type.next(1);
      auto tensor = type.get_message();
      tensor.next(1);
      const auto number = tensor.get_int32();
      text += number == 7 ? " int64" : number == 1 ? " float32" : number == 2 ? " uint8" : " other";
      tensor.next(2);
      auto shape = tensor.get_message();
      while (shape.next(1)) {
        auto side = shape.get_message();
        side.next();
        text += side.tag() == 1 ? fmt::format(" {}", side.get_int64()) : " " + side.get_string();
      }
    } else {
      port.skip();
    }
  }
  return text;
}

void write_bytes(const Path& file, const void* from, std::size_t count) {
  std::ofstream(file, std::ios::binary)
      .write(static_cast<const char*>(from), static_cast<std::streamsize>(count));
}

}  // namespace

bool has_onnx_runtime() {
  static const bool has =
      std::system(
          fmt::format("{} -e \"require('onnxruntime-node')\" >/dev/null 2>&1", node()).c_str()) ==
      0;
  return has;
}

std::vector<torch::Tensor> run_in_onnx_runtime(const TempDir& dir,
                                               const std::vector<OnnxCase>& cases) {
  std::vector<std::string> descriptions;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    auto inputs = cases[i].more;
    if (inputs.empty()) inputs["input"] = cases[i].input;
    std::vector<std::string> parts;
    for (const auto& [name, tensor] : inputs) {
      const auto x = tensor.contiguous();
      const auto file = fmt::format("in{}_{}", i, name);
      write_bytes(dir / file, x.data_ptr(), x.nbytes());
      parts.push_back(fmt::format(R"({{"name": "{}", "file": "{}", "type": "{}", "shape": [{}]}})",
                                  name, file, type_name(x.scalar_type()),
                                  fmt::join(x.sizes().vec(), ", ")));
    }
    descriptions.push_back(fmt::format(R"({{"model": "{}", "output": "out{}", "inputs": [{}]}})",
                                       cases[i].model.string(), i, fmt::join(parts, ", ")));
  }
  const auto json = fmt::format("[{}]", fmt::join(descriptions, ",\n"));
  write_bytes(dir / "cases.json", json.data(), json.size());
  write_bytes(dir / "run.js", kJavaScript, std::string(kJavaScript).size());
  const int status = std::system(
      fmt::format("cd '{}' && {} run.js > log.txt 2>&1", dir.path().string(), node()).c_str());
  std::ifstream log(dir / "log.txt");
  INFO(std::string(std::istreambuf_iterator<char>(log), {}));
  REQUIRE(status == 0);
  std::vector<torch::Tensor> results;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    std::ifstream shape(dir / fmt::format("out{}.shape", i));
    std::vector<std::int64_t> sizes;
    for (std::int64_t side = 0; shape >> side;) sizes.push_back(side);
    auto out = torch::empty(sizes, torch::kFloat32);
    std::ifstream bytes(dir / fmt::format("out{}", i), std::ios::binary);
    bytes.read(static_cast<char*>(out.data_ptr()), static_cast<std::streamsize>(out.nbytes()));
    REQUIRE(bytes);
    results.push_back(out);
  }
  return results;
}

bool has_onnx_checker() {
  static const bool has = python_has("onnx");
  return has;
}

std::string check_onnx(const TempDir& dir, const std::vector<Path>& files) {
  std::string script = "import onnx\n";
  for (const auto& file : files) {
    script += fmt::format(
        "try:\n  onnx.checker.check_model(onnx.load('{0}'), full_check=True)\n"
        "except Exception as e:\n  print('{0}', e)\n",
        file.string());
  }
  return run_python(dir, script);
}

OnnxContent onnx_content(const Path& file) {
  std::ifstream from(file, std::ios::binary);
  const std::string bytes(std::istreambuf_iterator<char>(from), {});
  OnnxContent content;
  protozero::pbf_reader model(bytes);
  while (model.next()) {
    if (model.tag() == 14) {
      auto entry = model.get_message();
      std::string key, value;
      while (entry.next()) {
        auto& part = entry.tag() == 1 ? key : value;
        part = entry.get_string();
      }
      content.metadata[key] = value;
    } else if (model.tag() == 7) {
      auto graph = model.get_message();
      while (graph.next()) {
        const auto tag = graph.tag();
        if (tag != 1 && tag != 5 && tag != 11) {
          graph.skip();
          continue;
        }
        auto part = graph.get_message();
        if (tag == 11) {
          content.inputs.push_back(port_text(part));
          continue;
        }
        while (part.next(tag == 1 ? 4 : 8)) {
          const auto text = part.get_string();
          if (tag == 1) ++content.operators[text];
          if (tag == 5) content.constants.push_back(text);
        }
      }
    } else {
      model.skip();
    }
  }
  return content;
}

}  // namespace fastcpp::test
