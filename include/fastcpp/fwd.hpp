/// \file
/// Declares the main types without defining them, so that a header of yours that only names them by reference or pointer
/// needs neither LibTorch nor OpenCV. Before each group stands the header that defines it.
#pragma once

#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

// fastcpp/core/error.hpp
class DataError;
class DistributedError;
class DownloadError;
class Error;
class FormatError;
class ImageError;
class IoError;
class MemoryError;
class TrainError;
class ValueError;
class WeightsError;

// fastcpp/core/
class LearningRate;
class ProgressBar;
class ProgressSink;
class Rng;

// fastcpp/io/
class Config;
class FileSource;
class StateDict;
class Value;

// fastcpp/plot/figure.hpp
class Axes;
class Figure;

// fastcpp/data/
class DataBunch;
class DataLoader;
class Dataset;
class Label;
class Labels;
class Normalize;
class Paths;
class Sampler;
class Table;
class TensorDataset;
class Tensors;
struct Batch;
struct LabelList;
struct LabelLists;
struct Sample;
struct Split;

// fastcpp/train/
class Callback;
class Learner;
class Loss;
class Metric;
class Model;
class OptimWrapper;
class ProcessGroup;
class Recorder;
class Scheduler;
struct LearnerOptions;
struct Prediction;
struct Predictions;
struct TrainState;

// fastcpp/vision/
class Image;
class ImageDataBunch;
class ImageDataset;
class ImageList;
class ImageSize;
class Transform;
struct CnnLearnerOptions;
struct ImageDataBunchOptions;

// fastcpp/tabular/
class TabularDataBunch;
class TabularDataset;
class TabularList;
class TabularProc;
class TabularProcessor;
struct TabularLearnerOptions;

// fastcpp/collab/
class CollabDataBunch;
class CollabLearner;
struct CollabLearnerOptions;

// fastcpp/interpret/
class ClassConfusion;
class ClassificationInterpretation;
class FeatureImportance;
class ImageCleaner;
struct TopLosses;

// fastcpp/deploy/predictor.hpp
class Predictor;
struct PredictorOptions;

// fastcpp/serve/serve.hpp
struct ServeOptions;

}  // namespace fastcpp
