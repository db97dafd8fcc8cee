// Initial parameters that are the same bytes on every machine: drawn by our SeededRng, with + − × ÷ √ only
// (each rounded as IEEE 754 says), since a manifest holds their digest. Needs no torch. Pure.
#pragma once

#include <span>
#include <vector>

#include "crypto/base/bytes.h"
#include "training/model.h"

namespace testudo::training {

// Tensors of two and more dimensions: uniform in ±√(1 / fan in), as torch's own layers are, where fan in is
// the product of all dimensions but the first. Vectors and scalars: 1 if the name ends in "weight" (the gain
// of a normalisation), else 0 (a bias).
std::vector<float> draw_initial_parameters(std::span<const NamedTensorInfo> layout, const Digest& seed);

}  // namespace testudo::training
