/// \file
/// Optimizers with one set of hyper-parameters per layer group and decoupled weight decay.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "fastcpp/export.hpp"
#include "fastcpp/io/value.hpp"
#include "fastcpp/train/optim/layers.hpp"

namespace fastcpp::inline v0 {

/// Hyper-parameters of one step on one parameter.
struct HyperParams {
  double lr = 0;     ///< learning rate
  double mom = 0;    ///< momentum, or Adam's beta1
  double beta = 0;   ///< Adam's beta2, or RMSprop's alpha
  double decay = 1;  ///< factor on the parameter before the step: 1 - lr * wd, or 1
  double l2 = 0;     ///< weight decay added to the gradient, when decay is not decoupled
};

/// What an optimizer remembers of one parameter.
struct ParamState {
  std::int64_t step = 0;  ///< steps so far
  std::map<std::string, torch::Tensor> buffers =
      {};  ///< PyTorch's names: exp_avg, exp_avg_sq, momentum_buffer, square_avg
};

/// How one parameter moves. Constant once made, so that one rule may serve several optimizers and threads. The
/// optimizers that use it keep it alive.
class FASTCPP_API UpdateRule {
 public:
  virtual ~UpdateRule() = default;
  /// One step: `parameter` and `state` change, `gradient` does not. Called without a graph.
  virtual void update(torch::Tensor& parameter, const torch::Tensor& gradient, ParamState& state,
                      const HyperParams& hyper) const = 0;
  /// One step on all parameters of a group: gradients[i] and *states[i] belong to parameters[i].
  /// The default calls `update` for each.
  virtual void update_all(std::vector<torch::Tensor>& parameters,
                          const std::vector<torch::Tensor>& gradients,
                          const std::vector<ParamState*>& states, const HyperParams& hyper) const;
  /// As `update_all`, unless `overflow` is 1: that is looked at on the device, and nobody waits for it. The steps in `states`
  /// count on in either case.
  /// \param overflow one number in single precision on the parameters' device, 0 or 1
  /// \param skipped  likewise: how many of the steps in `states` were left out so far; undefined: none
  /// \returns false, and nothing is done, where the rule cannot do so with these parameters; so the default
  virtual bool update_all_unless(const torch::Tensor& overflow, const torch::Tensor& skipped,
                                 std::vector<torch::Tensor>& parameters,
                                 const std::vector<torch::Tensor>& gradients,
                                 const std::vector<ParamState*>& states,
                                 const HyperParams& hyper) const;
  /// Initial `mom` and `beta` in lr-free HyperParams.
  virtual HyperParams defaults() const = 0;
  /// One entry of PyTorch's `param_groups`, without `params`.
  virtual Value group_value(const HyperParams& hyper) const = 0;
  /// Reads `mom` and `beta` from such an entry.
  virtual void read_group(const Value& group, HyperParams& hyper) const = 0;
  /// For people: name and arguments, for example `Adam(betas=(0.9, 0.99))`.
  virtual std::string str() const { return "UpdateRule()"; }
  friend std::ostream& operator<<(std::ostream& to, const UpdateRule& x) { return to << x.str(); }
};

/// Makes the rule of an optimizer (fastai: `opt_func`). Not empty, and never null.
using OptFunc = std::function<std::shared_ptr<const UpdateRule>()>;

/// Options of Adam.
struct AdamOptions {
  double beta1 = 0.9;   ///< 0 <= beta1 < 1
  double beta2 = 0.99;  ///< 0 <= beta2 < 1; fastai's default, not PyTorch's 0.999
  double eps = 1e-8;    ///< >= 0
};
/// Adam (Kingma and Ba 2014, arXiv:1412.6980) with fastai's betas. The bias correction uses the current beta1.
/// \throws ValueError `value.optimizer` on an option out of range
FASTCPP_API OptFunc adam(const AdamOptions& options = {});

/// Options of stochastic gradient descent.
struct SgdOptions {
  double momentum = 0;  ///< 0 <= momentum < 1
};
/// Stochastic gradient descent with momentum, without dampening.
/// \throws ValueError `value.optimizer` on an option out of range
FASTCPP_API OptFunc sgd(const SgdOptions& options = {});

/// Options of RMSprop.
struct RmsPropOptions {
  double alpha = 0.99;  ///< 0 <= alpha < 1
  double eps = 1e-8;    ///< >= 0
};
/// RMSprop (Hinton 2012, lecture 6) without momentum.
/// \throws ValueError `value.optimizer` on an option out of range
FASTCPP_API OptFunc rmsprop(const RmsPropOptions& options = {});

/// What `OptimWrapper::load_state_dict` did: true when the state was taken over. A value: copies share nothing.
/// Threads: const calls by any number at once.
struct OptimLoadReport {
  std::size_t taken = 0;     ///< parameters that the optimizer took over
  std::size_t expected = 0;  ///< parameters that the optimizer moves
  std::string why = {};      ///< why nothing was taken over, with counts; empty when it was
  /// Whether the state was taken over.
  explicit operator bool() const { return why.empty(); }
};

/// How an OptimWrapper decays weights.
struct OptimWrapperOptions {
  bool true_wd = true;  ///< decay the weights, not the gradients
  bool bn_wd = true;    ///< decay the second parameter groups too
};

/// An optimizer over layer groups (fastai: `OptimWrapper`).
///
/// Every layer group has two parameter groups: first all other parameters, then normalisation layers and the biases of
/// linear and convolution layers. Only parameters that require gradients when it is made take part.
///
/// A copy shares the parameters (the model's) and the tensors of the state. Used from one thread at a time.
class FASTCPP_API OptimWrapper {
 public:
  /// \param rule         how a parameter moves, not null
  /// \param layer_groups leaf layers by group
  /// \param model        gives the parameters their names
  /// \throws ValueError `value.opt_func` when there is no rule
  OptimWrapper(std::shared_ptr<const UpdateRule> rule, const std::vector<LayerGroup>& layer_groups,
               const torch::nn::Module& model, const OptimWrapperOptions& options = {});
  /// With the rule that `opt_func` makes.
  /// \throws ValueError `value.opt_func` when it is empty or makes none
  OptimWrapper(const OptFunc& opt_func, const std::vector<LayerGroup>& layer_groups,
               const torch::nn::Module& model, const OptimWrapperOptions& options = {});

  /// One step on every parameter that has a gradient.
  /// \param overflow one number in single precision on the parameters' device: where it is 1 the step is left out, where it
  /// is 0 or undefined it is taken. Adam on CUDA with LibTorch 2 leaves that to the device; others wait for the number
  /// \throws TrainError `train.failed` when LibTorch refuses; MemoryError `train.out_of_memory`
  void step(const torch::Tensor& overflow = {});
  /// Drops all gradients.
  void zero_grad();
  /// A copy whose state is its own: steps of this optimizer leave it as it is. The parameters stay the model's.
  OptimWrapper snapshot() const;
  /// Forgets all state (fastai: `clear`).
  void clear();

  /// \name One value per layer group. Setting one value broadcasts.
  /// Rates and weight decays are finite and >= 0, momenta and betas 0 <= value < 1.
  /// \throws ValueError `value.hyper_length` on any other number of values, `value.hyper_range` on a value out of range
  /// @{
  /// \overload
  const std::vector<double>& lr() const { return lr_; }
  /// \overload
  const std::vector<double>& mom() const { return mom_; }
  /// \overload
  const std::vector<double>& beta() const { return beta_; }
  /// \overload
  const std::vector<double>& wd() const { return wd_; }
  /// \overload
  void set_lr(const std::vector<double>& values);
  /// \overload
  void set_mom(const std::vector<double>& values);
  /// \overload
  void set_beta(const std::vector<double>& values);
  /// \overload
  void set_wd(const std::vector<double>& values);
  /// @}

  /// One parameter group.
  struct Group {
    std::size_t layer_group = 0;             ///< which layer group it belongs to
    bool normalisation = false;              ///< the second kind
    std::vector<std::string> names = {};     ///< of the parameters
    std::vector<torch::Tensor> params = {};  ///< the parameters
    std::vector<ParamState> states = {};     ///< what is remembered of each
    /// Position in a saved state: frozen biases are counted there, although they never move (a
    /// quirk of the reference).
    std::vector<std::int64_t> indices = {};
    /// of all its parameters, among those of the model
    std::vector<std::int64_t> all_indices = {};
  };
  /// The parameter groups, two a layer group. Steps that the device left out still count in `ParamState::step`; a state that
  /// is saved is without them.
  const std::vector<Group>& groups() const { return groups_; }

  /// PyTorch's layout: {state: {index: {...}}, param_groups: [...]}.
  /// \throws TrainError `train.failed` when LibTorch refuses; MemoryError `train.out_of_memory`
  Value state_dict() const;
  /// Takes state and momenta over; the rates come with the next fit. A state of other parameters, or of another kind of
  /// optimizer, changes nothing: the report says why.
  OptimLoadReport load_state_dict(const Value& state);

 private:
  HyperParams hyper(const Group& group) const;
  // How many of the steps in a group's states the device has left out: waits for it.
  std::int64_t skipped(std::size_t group) const;
  // Reads a saved state into copies of the members; why it does not fit, or an empty text.
  std::string read(const Value& saved, std::vector<Group>& groups, std::vector<double>& mom,
                   std::vector<double>& beta, std::size_t& taken) const;

  std::shared_ptr<const UpdateRule> rule_;
  OptimWrapperOptions options_;
  std::vector<Group> groups_;
  std::vector<double> lr_, mom_, beta_, wd_;
  std::vector<torch::Tensor> skipped_;  // by group, on the device; undefined for none
};

}  // namespace fastcpp
