// Dataset: labelled samples that every member holds in the same order, and the batch that a seed names in it.
//
// Immutable after loading: any thread, shared by several models (std::shared_ptr<const Dataset>).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "crypto/base/bytes.h"

namespace testudo::training {

class Dataset {
 public:
  virtual ~Dataset() = default;

  virtual std::size_t size() const = 0;  // samples, below 2^32
  virtual std::vector<std::int64_t> sample_shape() const = 0;

  // The samples of these indices, one after another, normalised as the model takes them.
  // REQUIRES: indices below size(); inputs of indices.size() × the product of sample_shape(), labels of
  // indices.size().
  virtual void load(std::span<const std::uint32_t> indices, std::span<float> inputs,
                    std::span<std::int64_t> labels) const = 0;
};

// The product of the dimensions: values a sample.
std::size_t sample_values(const Dataset& dataset);

// Distinct indices below `dataset_size`, `samples` of them (all, in order, when it asks for as many or more).
// Drawn by SeededRng from the seed, uniformly, what was drawn before skipped: every member names the same
// batch.
std::vector<std::uint32_t> select_batch(const Digest& seed, std::size_t dataset_size, std::uint32_t samples);

}  // namespace testudo::training
