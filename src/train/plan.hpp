// What a fit was asked for, as its checkpoints hold it.
#pragma once

#include <fmt/format.h>

#include <exception>
#include <utility>
#include <vector>

#include "fastcpp/core/error.hpp"
#include "fastcpp/io/value.hpp"
#include "fastcpp/train/learner.hpp"

namespace fastcpp::inline v0 {

struct Learner::Plan {
  int epochs;
  LearningRate lr;
  Value description;  // a dict: `schedule` and its arguments
};

inline Value to_list(const std::vector<double>& numbers) {
  auto list = Value::list();
  for (const double number : numbers) list.append(number);
  return list;
}

template <typename T>
Value to_value(const std::optional<T>& number) {
  return number ? Value(*number) : Value();
}

inline Value to_value(const CheckpointOptions& options) {
  // A field more does not compile here: it must be kept too, unless it says how to begin.
  const auto& [every, keep, best, name, resume, background, on_error] = options;
  static_cast<void>(name);
  static_cast<void>(resume);
  return Value::dict({{"every", every ? Value(std::int64_t{every->count()}) : Value()},
                      {"keep", keep},
                      {"best", best},
                      {"background", background},
                      {"on_error", on_error}});
}

// What `f` takes out of a checkpoint; throws TrainError `train.checkpoint` on what is not there, or is something else.
template <typename F>
auto from_checkpoint(F&& f) -> decltype(f()) {
  try {
    return f();
  } catch (const ValueError& e) {
    if (e.code() != "value.missing_key" && e.code() != "value.wrong_kind") throw;
    std::throw_with_nested(TrainError(
        "train.checkpoint",
        fmt::format("the checkpoint is not whole, or another version of the library wrote it: {}; "
                    "remove it to go on from an earlier one",
                    e.what())));
  }
}

// Throws TrainError `train.checkpoint` when a checkpoint is of a fit that was asked for otherwise.
inline void check_plan(const Value& saved, const Value& now) {
  for (const auto& [key, value] : now.entries()) {
    const auto& name = key.as_string();
    if (name == "checkpoint") continue;
    const auto* was = saved.find(key);
    const auto there = was ? was->to_string() : "nothing", here = value.to_string();
    if (there == here) continue;
    throw TrainError("train.checkpoint",
                     fmt::format("the checkpoint is of another fit: its {} is {}, here {}; call it "
                                 "as before, or give another .name to train from the beginning",
                                 name, there, here));
  }
}

}  // namespace fastcpp
