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

namespace fastcpp {

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
  std::int64_t step = 0;
  std::map<std::string, torch::Tensor>
      buffers;  ///< PyTorch's names: exp_avg, exp_avg_sq, momentum_buffer, square_avg
};

/// How one parameter moves.
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

/// Makes the rule of an optimizer (fastai: `opt_func`).
using OptFunc = std::function<std::shared_ptr<const UpdateRule>()>;

/// Options of Adam.
struct AdamOptions {
  double beta1 = 0.9;
  double beta2 = 0.99;  ///< fastai's default, not PyTorch's 0.999
  double eps = 1e-8;
};
/// Adam (Kingma and Ba 2014, arXiv:1412.6980) with fastai's betas. The bias correction uses the
/// current beta1.
FASTCPP_API OptFunc adam(const AdamOptions& options = {});

/// Options of stochastic gradient descent.
struct SgdOptions {
  double momentum = 0;
};
/// Stochastic gradient descent with momentum, without dampening.
FASTCPP_API OptFunc sgd(const SgdOptions& options = {});

/// Options of RMSprop.
struct RmsPropOptions {
  double alpha = 0.99;
  double eps = 1e-8;
};
/// RMSprop (Hinton 2012, lecture 6) without momentum.
FASTCPP_API OptFunc rmsprop(const RmsPropOptions& options = {});

/// An optimizer over layer groups (fastai: `OptimWrapper`).
///
/// Every layer group has two parameter groups: first all other parameters, then normalisation
/// layers and the biases of linear and convolution layers. Only parameters that require gradients
/// when it is made take part.
class FASTCPP_API OptimWrapper {
 public:
  /// \param rule         how a parameter moves
  /// \param layer_groups leaf layers by group
  /// \param model        gives the parameters their names
  /// \param true_wd      decay the weights, not the gradients
  /// \param bn_wd        decay the second parameter groups too
  OptimWrapper(std::shared_ptr<const UpdateRule> rule, const std::vector<LayerGroup>& layer_groups,
               const torch::nn::Module& model, bool true_wd, bool bn_wd);

  /// One step on every parameter that has a gradient.
  void step();
  /// Drops all gradients.
  void zero_grad();
  /// Forgets all state (fastai: `clear`).
  void clear();

  /// \name One value per layer group. Setting one value broadcasts.
  /// \throws ValueError `value.hyper_length` on any other number of values
  /// \{
  const std::vector<double>& lr() const { return lr_; }
  const std::vector<double>& mom() const { return mom_; }
  const std::vector<double>& beta() const { return beta_; }
  const std::vector<double>& wd() const { return wd_; }
  void set_lr(const std::vector<double>& values) { set(lr_, values, "lr"); }
  void set_mom(const std::vector<double>& values) { set(mom_, values, "mom"); }
  void set_beta(const std::vector<double>& values) { set(beta_, values, "beta"); }
  void set_wd(const std::vector<double>& values) { set(wd_, values, "wd"); }
  /// \}

  /// One parameter group.
  struct Group {
    std::size_t layer_group = 0;
    bool normalisation = false;  ///< the second kind
    std::vector<std::string> names = {};
    std::vector<torch::Tensor> params = {};
    std::vector<ParamState> states = {};
    /// Position in a saved state: frozen biases are counted there, although they never move (a
    /// quirk of the reference).
    std::vector<std::int64_t> indices = {};
    std::vector<std::int64_t> all_indices = {};
  };
  const std::vector<Group>& groups() const { return groups_; }

  /// PyTorch's layout: {state: {index: {...}}, param_groups: [...]}.
  Value state_dict() const;
  /// Takes state and momenta over; the rates come with the next fit.
  /// \returns false, and changes nothing, when the state belongs to other parameters
  bool load_state_dict(const Value& state);

 private:
  void set(std::vector<double>& target, const std::vector<double>& values, const char* name);
  HyperParams hyper(const Group& group) const;

  std::shared_ptr<const UpdateRule> rule_;
  bool true_wd_, bn_wd_;
  std::vector<Group> groups_;
  std::vector<double> lr_, mom_, beta_, wd_;
};

}  // namespace fastcpp
