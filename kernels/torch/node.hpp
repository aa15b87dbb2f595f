// SPDX-License-Identifier: MIT
// Nodes of LibTorch's autograd graph, held as the LibTorch at hand holds them: std::shared_ptr in older ones,
// c10::intrusive_ptr in newer ones (seen: 2.11 and 2.15).
#pragma once

#include <c10/util/intrusive_ptr.h>
#include <torch/csrc/autograd/function.h>

#include <memory>
#include <type_traits>
#include <utility>

namespace ssim::op {

/// A new node of type T, in the pointer type of this LibTorch.
template <typename T, typename... Args>
auto make_node(Args&&... args) {
  if constexpr (std::is_same_v<decltype(torch::autograd::Edge::function), std::shared_ptr<torch::autograd::Node>>) {
    // deleteNode takes long chains of nodes apart without recursion. Named so that it is looked up only here.
    return std::shared_ptr<T>(new T(std::forward<Args>(args)...), [](T* node) { deleteNode(node); });
  } else {
    return c10::make_intrusive<T>(std::forward<Args>(args)...);
  }
}

}  // namespace ssim::op
