/// \file
/// Data and a model, and how to train one on the other.
#pragma once

#include <any>
#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "fastcpp/core/learning_rate.hpp"
#include "fastcpp/core/path.hpp"
#include "fastcpp/core/progress.hpp"
#include "fastcpp/data/data_bunch.hpp"
#include "fastcpp/export.hpp"
#include "fastcpp/train/callback.hpp"
#include "fastcpp/train/metrics/loss.hpp"
#include "fastcpp/train/metrics/metrics.hpp"
#include "fastcpp/train/model.hpp"
#include "fastcpp/train/optim/layers.hpp"
#include "fastcpp/train/optim/optimizer.hpp"
#include "fastcpp/train/prediction.hpp"
#include "fastcpp/train/process_group.hpp"
#include "fastcpp/train/recorder.hpp"
#include "fastcpp/train/resume.hpp"

namespace fastcpp::inline v0 {

class Figure;
class StateDict;

/// fastai's default learning rate: 3e-3 for the last layer group, a tenth of it for the others.
inline const LearningRate kDefaultLr = slice(3e-3);

/// Options of a learner (fastai: the arguments of `Learner`).
struct LearnerOptions {
  OptFunc opt_func = adam();                  ///< optimizer
  Loss loss_func = {};                        ///< absent: what the data's labels ask for
  std::vector<Metric> metrics = {};           ///< columns of the table
  bool true_wd = true;                        ///< decoupled weight decay
  bool bn_wd = true;                          ///< decay batch-norm parameters and biases too
  double wd = 1e-2;                           ///< weight decay, >= 0
  bool train_bn = true;                       ///< batch-norm of frozen groups stays trainable
  std::optional<Path> path = {};              ///< absent: the data's path
  Path model_dir = "models";                  ///< below path, or absolute
  std::vector<CallbackFn> callback_fns = {};  ///< called with the learner at each fit
  std::vector<std::shared_ptr<Callback>> callbacks = {};  ///< take part in every fit
  std::vector<LayerGroup> layer_groups = {};              ///< absent: one group of all leaf layers
  bool add_time = true;                                   ///< a `time` column
  bool silent = false;                                    ///< no table and no progress bar
  std::shared_ptr<ProgressSink> progress =
      {};  ///< absent: the process-wide one (`progress_sink()`)
};

/// Options of `fit` and of everything that fits.
struct FitOptions {
  std::optional<double> wd = {};            ///< absent: the learner's; >= 0
  std::vector<CallbackArg> callbacks = {};  ///< take part in this fit only: objects or factories
  std::stop_token stop = {};                ///< ends the fit between two batches
  std::optional<CheckpointOptions> checkpoint = {};  ///< writes the training down as it goes on
};

/// Options of `fit_one_cycle`, in fastai's order.
struct OneCycleOptions {
  LearningRate max_lr = kDefaultLr;               ///< highest rate
  std::pair<double, double> moms = {0.95, 0.85};  ///< momentum at lowest and highest rate
  double div_factor = 25;                         ///< the rate starts at max_lr / div_factor
  double pct_start = 0.3;                         ///< share of the batches on the way up
  std::optional<double> final_div = {};  ///< ends at max_lr / final_div; absent: div_factor * 1e4
  std::optional<double> wd = {};         ///< absent: the learner's; >= 0
  std::vector<CallbackArg> callbacks = {};  ///< take part in this fit only: objects or factories
  std::optional<int> tot_epochs = {};       ///< length of the whole cycle; absent: cyc_len
  int start_epoch = 0;        ///< epochs of the cycle done before, 0 <= start_epoch < cyc_len
  std::stop_token stop = {};  ///< ends the fit between two batches
  std::optional<CheckpointOptions> checkpoint = {};  ///< writes the training down as it goes on
};

/// Options of `fit_fc`, in fastai's order.
struct FitFcOptions {
  LearningRate lr = kDefaultLr;                   ///< the rate
  std::pair<double, double> moms = {0.95, 0.85};  ///< momentum while flat, and after
  double start_pct = 0.72;                        ///< share of the batches with a constant rate
  std::optional<double> wd = {};                  ///< absent: the learner's; >= 0
  std::vector<CallbackArg> callbacks = {};  ///< take part in this fit only: objects or factories
  std::stop_token stop = {};                ///< ends the fit between two batches
  std::optional<CheckpointOptions> checkpoint = {};  ///< writes the training down as it goes on
};

/// Options of `fine_tune`, in the order of fastai's second version.
struct FineTuneOptions {
  double base_lr = 2e-3;   ///< highest rate of the head while it is trained alone, > 0
  int freeze_epochs = 1;   ///< epochs of the head alone, >= 0
  double lr_mult = 100;    ///< the first layers get base_lr / 2 / lr_mult, > 0
  double pct_start = 0.3;  ///< as in OneCycleOptions, of the second part
  double div = 5;          ///< likewise its div_factor
  std::pair<double, double> moms = {0.95, 0.85};  ///< as in OneCycleOptions, of both parts
  std::optional<double> wd = {};                  ///< absent: the learner's; >= 0
  /// Take part in both parts: objects or factories.
  std::vector<CallbackArg> callbacks = {};
  std::stop_token stop = {};                         ///< ends the fit between two batches
  std::optional<CheckpointOptions> checkpoint = {};  ///< writes the training down as it goes on
};

struct AccumulateOptions;     // train/callbacks/accumulate.hpp
struct BatchSize;             // train/try_out.hpp
struct DryRunOptions;         // train/try_out.hpp
struct FindBatchSizeOptions;  // train/try_out.hpp
struct ProfileOptions;        // train/profile.hpp
struct StepProfile;           // train/profile.hpp
struct MixUpOptions;
struct ReportOptions;   // interpret/report.hpp
struct TtaOptions;      // vision/tta.hpp
struct TtaPredictions;  // vision/tta.hpp
struct MixedPrecisionOptions;

/// Options of `lr_find`.
struct LrFindOptions {
  LearningRate start_lr = 1e-7;   ///< > 0: one rate, a slice, or one per layer group
  LearningRate end_lr = 10.0;     ///< > 0, likewise
  int num_it = 100;               ///< number of batches, >= 1
  bool stop_div = true;           ///< stop when the loss diverges
  std::optional<double> wd = {};  ///< absent: the learner's; >= 0
  std::stop_token stop = {};      ///< ends the search between two batches
};

/// Options of `validate`.
struct ValidateOptions {
  std::optional<DataLoader> dl = {};  ///< absent: the validation loader
  std::stop_token stop = {};          ///< ends it between two batches
};

/// Options of `precompute`.
struct PrecomputeOptions {
  bool on = true;             ///< false: train on pictures again
  std::stop_token stop = {};  ///< ends it between two batches
};

/// Options of `save`.
struct SaveOptions {
  bool with_opt = true;  ///< also the optimizer's state
};

/// Options of `load`.
struct LoadOptions {
  bool strict = true;  ///< names and shapes must fit; false: load what fits, and say what does not
  std::optional<bool> with_opt = {};  ///< absent: take the optimizer's state when the file has one
  bool remove_module = false;         ///< drop a leading `module.` of every name that has it
};

/// Options of `get_preds`.
struct GetPredsOptions {
  Loss::Activation activ = {};               ///< absent: the one that goes with the loss
  bool with_loss = false;                    ///< also one loss per item
  std::optional<std::int64_t> n_batch = {};  ///< only the first batches, >= 1
  std::optional<DataLoader> dl = {};         ///< absent: the loader of the type
  std::stop_token stop = {};                 ///< ends it between two batches
};

/// What `get_preds` gives, on the CPU.
struct Predictions {
  torch::Tensor preds;    ///< n x c, after the activation, float32 (or the model's type)
  torch::Tensor targets;  ///< n
  torch::Tensor losses;   ///< n, or n x c where an item has c targets; undefined unless asked for
};

/// Options of `predict_with_mc_dropout`.
struct McDropoutOptions {
  int n_times = 10;                   ///< predictions, >= 1
  std::optional<double> thresh = {};  ///< of several classes: those with at least this; absent: 0.5
};

/// Options of `show_results`.
struct ShowResultsOptions {
  int rows = 5;                       ///< rows^2 pictures, or rows of a table; at most a batch
  std::optional<double> thresh = {};  ///< of several classes: those with at least this; absent: 0.5
  std::optional<std::pair<double, double>> figsize = {};  ///< of pictures, inches; absent: 4 a cell
  double dpi = 100;                                       ///< pixels an inch
};

/// Options of `export_model`.
struct ExportOptions {
  bool half =
      false;  ///< weights in half precision: half the size, last digits of the probabilities differ
};

/// Data, model, optimizer and the record of their training (fastai: `Learner`).
///
/// A cheap handle: copies share everything, and the last one releases it. What `recorder()`, `opt()`, `callbacks()` and
/// the like refer to lives as long as any copy. Not safe for use from several threads at once.
class FASTCPP_API Learner {
 public:
  /// Moves the model to the data's device.
  /// \throws ValueError `value.wd`, `value.model` (no module), `value.opt_func`, `value.callback` (null),
  /// `value.layer_groups` when a parameter of the model is in no layer group or in several
  Learner(DataBunch data, Model model, const LearnerOptions& options = {});

  /// Trains at constant rates (fastai: `fit`). Seeds LibTorch's default generator from the data's seed and the number of
  /// fits so far: dropout draws from it.
  ///
  /// Whatever happens, every callback that began gets on_train_end, and the first cause of a failure is what is thrown.
  /// A loss that is no finite number, from broken inputs or a rate too high, is told by one warning, and the fit goes on:
  /// TerminateOnNaNCallback ends it. The weights are then no numbers either, so load saved ones.
  /// \param epochs >= 0
  /// \param lr     one rate, a slice, or one per layer group
  /// \throws ValueError `value.epochs`, `value.wd`, `value.callback`; TrainError `train.empty_loader` without a full batch;
  /// `train.nested_fit` inside another fit of this learner; `train.precomputed` when the body is to be trained although its
  /// features are precomputed; `train.failed` when LibTorch refuses (the message says what); MemoryError
  /// `train.out_of_memory`; whatever loading the data or a callback throws
  FitOutcome fit(int epochs, const LearningRate& lr = kDefaultLr, const FitOptions& options = {});

  /// Trains with the 1cycle policy (fastai: `fit_one_cycle`; Smith 2018, arXiv:1803.09820).
  /// \throws as `fit`; ValueError `value.one_cycle`
  FitOutcome fit_one_cycle(int cyc_len, const OneCycleOptions& options = {});
  /// The same with the highest rate as fastai's second argument, which replaces `options.max_lr`.
  FitOutcome fit_one_cycle(int cyc_len, const LearningRate& max_lr, OneCycleOptions options = {});

  /// Trains at a constant rate that at last falls along half a cosine (fastai: `fit_fc`).
  /// \throws as `fit`; ValueError `value.flat_cos`
  FitOutcome fit_fc(int tot_epochs = 1, const FitFcOptions& options = {});

  /// Trains the head alone, then everything (fastai 2: `fine_tune`): freezes, runs one cycle of `freeze_epochs` at
  /// slice(base_lr) with pct_start 0.99, halves base_lr, unfreezes, and runs one cycle of `epochs` at slice(base_lr /
  /// lr_mult, base_lr). A model of one layer group is trained as a whole in both.
  /// \returns how the last part ended that was begun
  /// \throws as `fit_one_cycle`; ValueError `value.fine_tune` on a rate or factor that is not > 0, or negative epochs
  FitOutcome fine_tune(int epochs, const FineTuneOptions& options = {});
  /// The same with the rate as fastai's second argument, which replaces `options.base_lr`.
  FitOutcome fine_tune(int epochs, double base_lr, FineTuneOptions options = {});

  /// Goes on with the training that wrote the last whole checkpoint, also from the middle of an epoch, to the same numbers
  /// as if it had never been interrupted (on the same machine, with as many threads): weights, optimizer, schedule, random
  /// numbers, callbacks and the record come from the file. Make data and learner as before; callbacks that were given to the
  /// fit alone are given again. A training that was finished is not trained again. A program of several fits is simplest
  /// with `.checkpoint = {.resume = true}` in each of them: those that are done are passed over.
  /// \throws TrainError `train.no_checkpoint` when there is none, `train.checkpoint` when it is of another training or
  /// damaged; as `fit`
  FitOutcome resume(const ResumeOptions& options = {});

  /// Raises the rate exponentially over a mock training, then restores weights, optimizer and modes from memory (fastai:
  /// `lr_find`; Smith 2015, arXiv:1506.01186). The curve is in `recorder()`. Of the learner's callbacks only those take
  /// part that belong to the computation of a step (`Callback::in_lr_find`); nothing is written to disk.
  /// \returns rates to take, read off the curve without its first tenth and its last five points
  /// \throws as `fit`; ValueError `value.lr_find`
  SuggestedLRs lr_find(const LrFindOptions& options = {});

  /// Trains a few batches and validates a few with all callbacks, to see that everything works before a training begins
  /// (Lightning: `fast_dev_run`). Then weights, buffers, optimizer, recorder, data with the order of their passes and all
  /// other settings are what they were. Meanwhile `path()` is a folder that is removed, and `model_dir()` lies below it, so that
  /// what callbacks write goes with it; `load` still finds what was saved before. A callback that writes elsewhere looks at
  /// `TrainState::dry_run`. Options are in train/try_out.hpp. Needs memory for weights and optimizer once more.
  /// \returns what was recorded
  /// \throws ValueError `value.n_batches`; IoError `io.cannot_create`; as `fit`
  FitRecord dry_run();
  /// \overload
  FitRecord dry_run(const DryRunOptions& options);
  /// Finds the largest batch that fits in memory by training a few batches of several sizes, as `dry_run` without validation
  /// and of the learner's callbacks with those of a step only (`Callback::in_lr_find`), and how many of them make the batch
  /// that is wanted. Options and result are in train/try_out.hpp.
  /// \throws ValueError `value.batch_size`, `value.n_batches`; MemoryError `train.out_of_memory` when no single item fits; as
  /// `fit`
  BatchSize find_batch_size();
  /// \overload
  BatchSize find_batch_size(const FindBatchSizeOptions& options);
  /// Measures where the time of a step goes over `n` batches, after two for warming up, as `dry_run` without validation and
  /// without table and bars: printed, the result is a table and a sentence that names what slows the training down. On a
  /// device the parts of a step are waited for one by one. Options and result are in train/profile.hpp.
  /// \param n training batches, >= 1
  /// \throws ValueError `value.n_batches`; TrainError `train.stopped`; as `dry_run`
  StepProfile profile(int n = 20);
  /// \overload
  StepProfile profile(int n, const ProfileOptions& options);

  /// Adds mix-up to every fit from now on (fastai: `mixup`). Returns the learner.
  /// \throws ValueError `value.mixup`
  Learner& mixup();
  /// \overload
  Learner& mixup(const MixUpOptions& options);
  /// Adds gradient clipping to every fit from now on (fastai: `clip_grad`). Returns the learner.
  /// \param clip largest 2-norm of all gradients together
  Learner& clip_grad(double clip = 0.1);
  /// Adds an AccumulateScheduler to every fit from now on: the optimizer steps once every n_step batches. Twice is once,
  /// with the options given last; n_step = 1 takes it out. Returns the learner.
  /// \throws ValueError `value.n_batches`
  Learner& accumulate(const AccumulateOptions& options);

  /// Computes convolutions and linear layers in half precision from now on, with a scaled loss (fastai: `to_fp16`).
  /// Parameters, batch norms and saved files stay single precision. Returns the learner.
  /// \throws ValueError `value.precision` when the data are not on a CUDA device
  Learner& to_fp16();
  /// \overload
  Learner& to_fp16(const MixedPrecisionOptions& options);
  /// Computes convolutions and linear layers in bfloat16 from now on, on any device; its range is
  /// that of single precision, so the loss needs no scale. Returns the learner.
  Learner& to_bf16();
  /// Undoes `to_fp16` and `to_bf16` (fastai: `to_fp32`). Returns the learner.
  Learner& to_fp32();

  /// Trains in several processes together from now on (fastai: `to_distributed`): every one makes the same data, model and
  /// learner, and fits alike. Each takes its share of every pass (`DataBunch::share`), with batches of the batch size; all
  /// begin with the weights of the first, average their gradients during the backward pass and have the same weights,
  /// losses and metrics afterwards. Validation gives what one process would give. Buffers such as the statistics of batch
  /// norms are the first process's. Losses and gradients of a batch are means over the processes, as PyTorch's.
  ///
  /// Only the first process shows the table, saves, and has the callbacks that are `first_process_only`. When one ends the
  /// training, all end it. Outside a fit nothing is shared out: `validate` and `get_preds` see all items.
  /// \param processes as `setup_distrib` gives it; null or a group of one: this process alone, as before
  /// \returns the learner
  /// \throws ValueError `value.bucket`; TrainError `train.nested_fit` during a fit. From then on a fit, and `load`, throw
  /// DistributedError `distributed.lost`, `distributed.ended`, `distributed.differs`, `distributed.shape` too
  Learner& to_distributed(std::shared_ptr<ProcessGroup> processes,
                          const DistributedOptions& options = {});
  /// The processes that train together; null for one alone.
  const std::shared_ptr<ProcessGroup>& processes() const;
  /// Whether this process prints, logs and saves: it is the first one, or alone.
  bool first_process() const;

  /// Runs the frozen body once over the training and validation items, and from then on trains and validates the head on
  /// what came out (fastai 0.7: `precompute=True`). Right for a frozen body and pictures without augmentation: training
  /// items go through the validation transforms, the body is in evaluation mode and its batch norms stand still. Needs 4
  /// bytes a feature and item. Other data, or loaded weights that change the body, end it with a warning.
  /// \returns the learner
  /// \throws ValueError `value.precompute` when the model is no sequence of a body and a head; TrainError `train.stopped`;
  /// whatever loading the data throws
  Learner& precompute(const PrecomputeOptions& options = {});

  /// Validation loss and metrics (fastai: `validate`). Modules are in evaluation mode meanwhile, and in the mode they had
  /// before afterwards.
  /// \throws TrainError `train.stopped`; DataError `data.empty_loader` without a batch; as `fit`
  std::vector<double> validate(const ValidateOptions& options = {});

  /// Freezes all layer groups but the last, and rebuilds the optimizer (fastai: `freeze`). During a fit the new optimizer
  /// keeps rates, momenta and weight decay.
  /// \throws ValueError `value.freeze` with one layer group
  void freeze();
  /// Freezes the layer groups before n; negative n counts from the end (fastai: `freeze_to`).
  /// \throws ValueError `value.freeze` when there is no such group
  void freeze_to(int n);
  /// Makes everything trainable, and rebuilds the optimizer (fastai: `unfreeze`).
  void unfreeze();

  /// Cuts the model into layer groups before each given module, and rebuilds the optimizer (fastai: `split`).
  /// \throws ValueError `value.split` when a module is null or no part of the model
  void split(const std::vector<Layer>& boundaries);

  /// Writes `<path>/<model_dir>/<file>.pth`, which Python's `torch.load` reads (fastai: `save`). Of several processes only
  /// the first writes.
  /// \param file a name, or an absolute path without `.pth`
  /// \returns the file written
  /// \throws IoError `io.cannot_create`, `io.cannot_write`
  Path save(const std::string& file, const SaveOptions& options = {}) const;
  /// Reads what `save`, or fastai's `learn.save`, wrote (fastai: `load`). An optimizer state of other parameters is left
  /// aside with a warning. Several processes load together: each waits for the others, and then reads the file.
  /// \param file a name below `model_dir()`, or an absolute path without `.pth`
  /// \returns the learner
  /// \throws IoError, FormatError; WeightsError `weights.mismatch`, also when `strict = false` and nothing fits
  Learner& load(const std::string& file, const LoadOptions& options = {});

  /// Writes all that predicting needs to one file: weights, how the model is made, labels, transforms of the validation path,
  /// statistics, loss (fastai: `export`, which C++ cannot call so). No picture is needed to predict with it, by
  /// `load_learner` or `Predictor`. A zip archive that holds no code. Defined in the room `deploy`.
  /// \param file below `path()`, or absolute
  /// \returns the file written
  /// \throws ValueError `value.cannot_export` naming what no file can make again: a model or a loss without recipe, an
  /// item reader or function of batches, labels of the user's own that are not registered; IoError `io.cannot_create`,
  /// `io.cannot_write`; MemoryError
  Path export_model(const Path& file = "export.fastcpp", const ExportOptions& options = {}) const;

  /// Outputs and targets of a whole data set, without augmentation unless `type` is Train (fastai: `get_preds`). Modules
  /// keep the mode they had.
  /// \throws ValueError `value.n_batch`; TrainError `train.stopped`; DataError `data.empty_loader`; as `fit`
  Predictions get_preds(DatasetType type = DatasetType::Valid, const GetPredsOptions& options = {});
  /// Activated outputs of one batch; absent: the first of the loader (fastai: `pred_batch`).
  torch::Tensor pred_batch(DatasetType type = DatasetType::Valid,
                           const std::optional<Batch>& batch = {});
  /// The prediction for one item, run through the validation path (fastai: `predict`). Items are
  /// what the data's set holds (for pictures an Image or a Path), or a sample as tensor.
  /// \throws ValueError `value.item`
  template <typename Item>
  Prediction predict(const Item& item, const PredictOptions& options = {}) {
    return predict_any(detail::item_of(item), options);
  }
  /// Predictions for one item by networks that dropout draws, to see how sure the model is of it (fastai:
  /// `predict_with_mc_dropout`; Gal, Ghahramani 2015, arXiv:1506.02142). Dropout draws from LibTorch's default generator,
  /// which every fit seeds. A model without dropout layers gives the same each time, and a warning.
  /// \throws ValueError `value.n_times`, `value.item`
  template <typename Item>
  std::vector<Prediction> predict_with_mc_dropout(const Item& item,
                                                  const McDropoutOptions& options = {}) {
    return mc_dropout_any(detail::item_of(item), options);
  }

  /// Test-time augmentation: the predictions for a set, averaged over its items as they are and eight times enlarged,
  /// mirrored and augmented (fastai: `TTA`). Defined in the room `vision`; the result is of vision/tta.hpp.
  /// \throws ValueError `value.tta`, `value.transform_argument`; DataError `data.no_pictures`; as `get_preds`
  TtaPredictions TTA();
  /// \overload
  TtaPredictions TTA(const TtaOptions& options);
  /// The predictions of the eight augmented passes alone (fastai: `tta_only`).
  /// \throws as `TTA`
  std::vector<torch::Tensor> tta_only();
  /// \overload
  std::vector<torch::Tensor> tta_only(const TtaOptions& options);

  /// Pictures of the first batch, each with its label above the prediction; of a table its rows as `result_rows` gives them,
  /// drawn by `table_figure` (fastai: `show_results`). Defined in the room `interpret`.
  /// \throws ValueError `value.rows`; DataError `data.tensors` on items that are neither; as `pred_batch`
  Figure show_results(DatasetType ds_type = DatasetType::Valid,
                      const ShowResultsOptions& options = {});

  /// Writes a page for people about data, model, training and what came out of it: one file of HTML that needs no network.
  /// Predicts the validation set; nothing of the learner changes. Defined in the room `interpret`.
  /// \param file    below `path()`, or absolute
  /// \returns the file written
  /// \throws ValueError `value.report`; DataError `data.empty` without any item; TrainError `train.stopped`; IoError
  /// `io.cannot_create`, `io.cannot_write`; as `get_preds`
  Path report(const Path& file = "report.html");
  /// \overload
  Path report(const Path& file, const ReportOptions& options);

  /// Table of all layers with totals (fastai: `summary`).
  /// \throws as `model_summary`
  std::string summary() const;
  /// All that the learner is made of (fastai: printing a `Learner`). Loads the first items.
  std::string str() const;
  friend std::ostream& operator<<(std::ostream& to, const Learner& x) { return to << x.str(); }

  /// The data; a handle that shares everything with the learner.
  DataBunch data() const;
  /// Gives the learner other data (fastai: `learn.data = ...`). During a fit the epoch under way keeps its training set.
  void set_data(const DataBunch& data);
  /// The network; lives as long as any copy of the learner, also what follows.
  const Model& model() const;
  /// The loss in use.
  const Loss& loss_func() const;
  /// Gives the learner another loss (fastai: `learn.loss_func = ...`).
  /// \throws ValueError `value.loss_func` when it is empty
  void set_loss_func(const Loss& loss);
  /// Take part in every fit; may be changed (fastai: `learn.callbacks`, `learn.callback_fns`). The LR finder calls the
  /// factories too, to ask what they make whether it takes part (`Callback::in_lr_find`): a factory only makes.
  std::vector<std::shared_ptr<Callback>>& callbacks();
  /// \overload
  const std::vector<std::shared_ptr<Callback>>& callbacks() const;
  /// Called with the learner at each fit; may be changed.
  std::vector<CallbackFn>& callback_fns();
  /// \overload
  const std::vector<CallbackFn>& callback_fns() const;
  /// What it was made with.
  const LearnerOptions& options() const;
  /// What shares a learning rate, the first layers first.
  const std::vector<LayerGroup>& layer_groups() const;
  /// The folder that models and logs go below.
  const Path& path() const;
  /// The folder of saved models.
  Path model_dir() const;
  /// Where the table and the bars go; null when the learner is silent.
  std::shared_ptr<ProgressSink> progress() const;
  /// What the last fit recorded: one object for the learner's life, which each fit begins anew.
  /// \throws TrainError `train.nothing_recorded` before the first fit
  Recorder& recorder();
  /// \overload
  const Recorder& recorder() const;
  /// The optimizer, made when there is none: one object for the learner's life. `freeze`, `unfreeze` and `split` give it
  /// new content.
  OptimWrapper& opt();
  /// \overload
  const OptimWrapper& opt() const;
  /// One rate per layer group (fastai: `lr_range`).
  std::vector<double> lr_range(const LearningRate& lr) const;

 private:
  friend class Callback;
  friend class Training;
  struct Impl;
  explicit Learner(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
  Prediction predict_any(const std::any& item, const PredictOptions& options);
  std::vector<Prediction> mc_dropout_any(const std::any& item, const McDropoutOptions& options);
  struct Plan;
  FitOutcome run(const Plan& plan, const FitOptions& options,
                 const std::shared_ptr<Callback>& finder);
  void refuse_nested_fit() const;
  // Runs `work` and puts everything back as it was, after an exception too; files go to a folder that is removed.
  void try_out(bool silent, const std::function<void()>& work);
  bool fits(std::int64_t bs, int n_batches);
  void load_weights(const Path& source, const StateDict& weights, bool strict);
  void set_precision(std::optional<torch::ScalarType> precision);
  std::shared_ptr<Impl> impl_;
};

}  // namespace fastcpp
