#include "fastcpp/io/summary_writer.hpp"

#include <fmt/format.h>

#include <array>
#include <atomic>
#include <chrono>
#include <mutex>
#include <protozero/pbf_writer.hpp>

#include <unistd.h>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/text.hpp"
#include "io/record_writer.hpp"
#include "io/summary_parts.hpp"

namespace fastcpp::inline v0 {
namespace {

// Numbers of the fields.
namespace event_field {
constexpr int kWallTime = 1, kStep = 2, kFileVersion = 3, kGraph = 4, kSummary = 5, kSession = 7;
}
namespace summary_value_field {
constexpr int kTag = 1, kScalar = 2, kImage = 4, kHistogram = 5, kTensor = 8, kMetadata = 9;
}

double seconds_since_1970() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// As TensorBoard's own writers name them: time, machine, process, number. It reads files of one folder in the order of
// their names.
std::string event_file_name(const std::string& suffix) {
  static std::atomic<int> made = 0;
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0 || host[0] == '\0')
    host = {'h', 'o', 's', 't'};
  return fmt::format("events.out.tfevents.{:010d}.{}.{}.{}{}",
                     static_cast<std::int64_t>(seconds_since_1970()), host.data(), ::getpid(),
                     made++, suffix);
}

}  // namespace

struct SummaryWriter::Impl {
  explicit Impl(const Path& file) : records(file) {}

  // One event, of which `write` adds the content.
  template <typename F>
  void add_event(std::int64_t step, F&& write) {
    std::string bytes;
    protozero::pbf_writer event(bytes);
    event.add_double(event_field::kWallTime, seconds_since_1970());
    event.add_int64(event_field::kStep, step);
    write(event);
    const std::scoped_lock lock(mutex);
    records.add(bytes);
  }

  // One value of a summary.
  template <typename F>
  void add_value(const std::string& tag, std::int64_t step, F&& write) {
    if (tag.empty()) {
      throw ValueError("value.summary",
                       "what TensorBoard shall show needs a tag, but it is empty: give one such as "
                       "'metrics/accuracy'");
    }
    add_event(step, [&](protozero::pbf_writer& event) {
      protozero::pbf_writer summary(event, event_field::kSummary);
      protozero::pbf_writer value(summary, 1);
      value.add_string(summary_value_field::kTag, clean_text(tag));
      write(value);
    });
  }

  std::mutex mutex;
  io::RecordWriter records;
};

SummaryWriter::SummaryWriter(const Path& log_dir, const SummaryWriterOptions& options) {
  boundary([&] {
    if (options.purge_step && *options.purge_step < 0) {
      throw ValueError("value.summary",
                       fmt::format("purge_step must be >= 0, found {}", *options.purge_step));
    }
    impl_ = std::make_unique<Impl>(log_dir / event_file_name(options.filename_suffix));
    impl_->add_event(0, [](protozero::pbf_writer& event) {
      event.add_string(event_field::kFileVersion, "brain.Event:2");
    });
    if (!options.purge_step) return;
    impl_->add_event(*options.purge_step, [](protozero::pbf_writer& event) {
      protozero::pbf_writer session(event, event_field::kSession);
      session.add_int32(1, 1);  // START
    });
  });
}

SummaryWriter::~SummaryWriter() = default;

const Path& SummaryWriter::file() const {
  return impl_->records.file();
}

void SummaryWriter::add_scalar(const std::string& tag, double value, std::int64_t step) {
  boundary([&] {
    impl_->add_value(tag, step, [&](protozero::pbf_writer& to) {
      to.add_float(summary_value_field::kScalar, static_cast<float>(value));
    });
  });
}

void SummaryWriter::add_histogram(const std::string& tag, const torch::Tensor& values,
                                  std::int64_t step) {
  boundary([&] {
    const auto message = io::histogram_message(values);
    impl_->add_value(tag, step, [&](protozero::pbf_writer& to) {
      to.add_message(summary_value_field::kHistogram, message);
    });
  });
}

void SummaryWriter::add_image(const std::string& tag, const torch::Tensor& picture,
                              std::int64_t step) {
  boundary([&] {
    const auto message = io::image_message(picture);
    impl_->add_value(tag, step, [&](protozero::pbf_writer& to) {
      to.add_message(summary_value_field::kImage, message);
    });
  });
}

void SummaryWriter::add_images(const std::string& tag, const torch::Tensor& pictures,
                               std::int64_t step) {
  boundary([&] { add_image(tag, io::image_grid(pictures), step); });
}

void SummaryWriter::add_text(const std::string& tag, std::string_view text, std::int64_t step) {
  boundary([&] {
    if (tag.empty()) return add_scalar(tag, 0, step);  // refused there
    impl_->add_value(tag + "/text_summary", step, [&](protozero::pbf_writer& to) {
      {
        protozero::pbf_writer metadata(to, summary_value_field::kMetadata);
        protozero::pbf_writer plugin(metadata, 1);
        plugin.add_string(1, "text");
      }
      protozero::pbf_writer tensor(to, summary_value_field::kTensor);
      tensor.add_int32(1, 7);  // texts
      {
        protozero::pbf_writer shape(tensor, 2);
        protozero::pbf_writer dimension(shape, 2);
        dimension.add_int64(1, 1);
      }
      tensor.add_bytes(8, clean_text(text));
    });
  });
}

void SummaryWriter::add_graph(const torch::nn::Module& model) {
  boundary([&] {
    const auto message = io::graph_message(model);
    impl_->add_event(
        0, [&](protozero::pbf_writer& event) { event.add_bytes(event_field::kGraph, message); });
  });
}

void SummaryWriter::flush() {
  boundary([&] {
    const std::scoped_lock lock(impl_->mutex);
    impl_->records.flush();
  });
}

}  // namespace fastcpp
