// SPDX-License-Identifier: MIT
// From window statistics to the value of one position and to what the gradient needs of it. Host and device.
//
// G* is the convolution with the window. Two bases, each with its own statistics:
//
// Classic (Wang et al. 2004, what the published kernels compute), five statistics m1 = G*x, m2 = G*y, e11 = G*x^2,
// e22 = G*y^2, e12 = G*(xy), and three partials:
//     SSIM = (2 m1 m2 + C1)(2 s12 + C2) / ((m1^2 + m2^2 + C1)(s11 + s22 + C2)),   s11 = e11 - m1^2, ...
//     d mean / d x = G*(dm1) + 2 x G*(ds11) + y G*(ds12)
//
// Sum/difference, s = x + y and d = x - y, four statistics and three fields for the gradient to x:
//     A = (ms^2 + md^2)/2 + C1,  B = (vs + vd)/2 + C2,  u = md^2/A,  v = vd/B,  SSIM = (1 - u)(1 - v)
//     1 - SSIM = u + v - u v keeps its digits as x -> y, and no two nearly equal numbers of the size of the image
//     are subtracted in B.  d mean / d x = G*(p) + 2 d G*(q) + 2 s G*(r)
// Derivation: differentiate (1-u)(1-v) by md, ms, E[d^2], E[s^2]; verify/ checks it against central differences.
#pragma once

#include "host_device.hpp"

namespace ssim {

/// 1 / v, correctly rounded. Kernels may pass another one, e.g. the card's approximate reciprocal.
struct Reciprocal {
  template <typename Real>
  SSIM_HOST_DEVICE Real operator()(Real v) const {
    return Real(1) / v;
  }
};

/// One position in the classic basis: the value and its derivatives to m1, e11 (= that to e22) and e12, where m1's is
/// the total one at constant e11, e12.
template <typename Real>
struct Classic {
  Real value, dm1, de11, de12;
};

template <typename Real, typename Inverse = Reciprocal>
SSIM_HOST_DEVICE Classic<Real> classic(Real m1, Real m2, Real e11, Real e22, Real e12, Real c1, Real c2,
                                       Inverse inverse = {}) {
  const Real m11 = m1 * m1, m22 = m2 * m2, m12 = m1 * m2;
  const Real s11 = e11 - m11, s22 = e22 - m22, s12 = e12 - m12;
  const Real a = m11 + m22 + c1;      // luminance, denominator
  const Real b = s11 + s22 + c2;      // structure, denominator
  const Real c = Real(2) * m12 + c1;  // luminance, numerator
  const Real d = Real(2) * s12 + c2;  // structure, numerator
  const Real inverse_a = inverse(a), inverse_b = inverse(b);
  const Real l = c * inverse_a, s = d * inverse_b;  // luminance and structure term
  const Real value = l * s;
  const Real de11 = -value * inverse_b;
  const Real de12 = Real(2) * l * inverse_b;
  const Real dm1 = Real(2) * (m2 - m1 * l) * s * inverse_a - Real(2) * m1 * de11 - m2 * de12;
  return {value, dm1, de11, de12};
}

/// One position in the sum/difference basis: 1 - SSIM, and the fields p, q, r of the gradient to x.
template <typename Real>
struct SumDifference {
  Real loss, p, q, r;
};

/// Variances do not change when a constant is taken from s, but lose fewer digits when it is near the mean: ms and ess
/// are those of s - pivot, and so must be the s that r is multiplied with.
template <typename Real, typename Inverse = Reciprocal>
SSIM_HOST_DEVICE SumDifference<Real> sum_difference(Real ms, Real md, Real ess, Real edd, Real c1, Real c2,
                                                    Inverse inverse = {}, Real pivot = 0) {
  const Real half = Real(0.5);
  const Real level = ms + pivot, mdd = md * md;
  const Real vs = ess - ms * ms, vd = edd - mdd;
  const Real a = half * (level * level + mdd) + c1;
  const Real b = half * (vs + vd) + c2;
  const Real inverse_a = inverse(a), inverse_b = inverse(b);
  const Real u = mdd * inverse_a, v = vd * inverse_b;
  const Real l = Real(1) - u, s = Real(1) - v;
  const Real half_v_over_b = half * v * inverse_b;
  const Real q = l * (half_v_over_b - inverse_b);
  const Real r = l * half_v_over_b;
  const Real gd = s * inverse_a * md * (u - Real(2)) - Real(2) * md * q;
  const Real gs = s * inverse_a * u * level - Real(2) * ms * r;
  return {u + v - u * v, gd + gs, q, r};
}

}  // namespace ssim
