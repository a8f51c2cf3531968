/// \file
/// Whether a model is as often right as its probabilities say (Guo et al. 2017, arXiv:1706.04599).
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "fastcpp/export.hpp"
#include "fastcpp/interpret/classification.hpp"
#include "fastcpp/plot/figure.hpp"

namespace fastcpp::inline v0 {

/// Options of `calibration`.
struct CalibrationOptions {
  int bins = 10;  ///< parts of 0..1, all of the same width; 1..1000
};

/// The predictions whose probability lies in one part of 0..1.
struct CalibrationBin {
  double low = 0, high = 0;  ///< low <= probability < high; the last one takes 1 too
  std::int64_t count = 0;    ///< predictions
  double confidence = 0;     ///< their mean probability; 0 without any
  double accuracy = 0;       ///< the share of them that is right; 0 without any
};

/// How far probabilities and what came true lie apart. A value.
struct Calibration {
  std::vector<CalibrationBin> bins;  ///< from 0 to 1
  std::int64_t count = 0;            ///< predictions in all bins
  double confidence = 0;             ///< mean probability of all
  double accuracy = 0;               ///< share of all that is right
  double ece =
      0;  ///< expected calibration error: the gap of the bins, weighted by their count; 0..1
  double mce = 0;  ///< the largest gap of a bin; 0..1
};

/// Compares probabilities with what came true: of items with one class each those of the predicted class, of items with
/// several labels those of all labels. What is no number is left out.
/// \throws DataError `data.not_classes` for numbers as targets; ValueError `value.bins`, `value.probability` when the
///         predictions are no probabilities
FASTCPP_API Calibration calibration(const ClassificationInterpretation& interp,
                                    const CalibrationOptions& options = {});

/// Options of `plot_calibration`.
struct CalibrationPlotOptions {
  std::pair<double, double> figsize = {6, 4.5};  ///< inches
  double dpi = 100;                              ///< pixels an inch
};

/// A reliability diagram: the accuracy of each bin as a bar, and the line on which a calibrated model lies.
/// \throws ValueError `value.figure_size`
FASTCPP_API Figure plot_calibration(const Calibration& found,
                                    const CalibrationPlotOptions& options = {});

}  // namespace fastcpp
