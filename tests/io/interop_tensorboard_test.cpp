// Event files read by TensorBoard itself. Skipped where Python has none.
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/linear.h>

#include "fastcpp/io/summary_writer.hpp"
#include "support/catch.hpp"
#include "support/python.hpp"
#include "support/support.hpp"

using namespace fastcpp;

TEST_CASE("TensorBoard reads what SummaryWriter wrote") {
  if (!test::python_has("tensorboard")) return test::skip("no Python with tensorboard");
  test::TempDir dir;
  {
    SummaryWriter writer(dir / "run");
    for (int i = 0; i < 5; ++i) writer.add_scalar("metrics/loss", 1.0 / (i + 1), i);
    writer.add_histogram("weights", torch::arange(100) / 10.0, 3);
    writer.add_image("picture", torch::rand({3, 8, 6}), 3);
    writer.add_text("notes", "some *text*", 3);
    writer.add_graph(*torch::nn::Sequential(torch::nn::Linear(4, 3), torch::nn::ReLU()));
  }
  const auto printed = test::run_python(dir, R"(
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator('run', size_guidance=dict(scalars=0, histograms=0, images=0, tensors=0))
events.Reload()
tags = events.Tags()
assert tags['graph'], tags
scalars = events.Scalars('metrics/loss')
assert [s.step for s in scalars] == list(range(5)), scalars
assert all(abs(s.value - 1 / (i + 1)) < 1e-6 for i, s in enumerate(scalars)), scalars
histogram = events.Histograms('weights')[0].histogram_value
assert histogram.num == 100 and sum(histogram.bucket) == 100, histogram
image = events.Images('picture')[0]
assert (image.width, image.height) == (6, 8), image
assert events.Tensors('notes/text_summary')[0].tensor_proto.string_val[0] == b'some *text*'
assert [n.name for n in events.Graph().node] == ['input', 'Sequential/0', 'Sequential/1', 'output']
print(len(scalars), 'scalars')
)");
  CHECK(printed.ends_with("5 scalars\n"));
}
