// Checks the arithmetic and the indices of kernels.cu on the CPU against plain loops in f64.

#include "kernels.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <random>

#include "../arguments.h"

constexpr float MOMENTUM = 0.25f, EPS = 1e-3f;

static float to_bf16(float value) {
    const u32 bits = std::bit_cast<u32>(value);
    return std::bit_cast<float>((bits + 0x7fffu + ((bits >> 16) & 1u)) & 0xffff0000u);
}

// Random inputs; channels have means far from 0 and different spreads.
struct Data {
    std::vector<float> x, dy, gamma, beta, running_mean, running_var;

    Data(u32 rows, u32 outputs, u32 channels, bool bf16) {
        std::mt19937 random(rows * 131 + channels);
        std::normal_distribution<float> normal;
        const auto drawn = [&](u32 count) {
            std::vector<float> values(count);
            for (auto& value : values) value = normal(random);
            return values;
        };
        x = drawn(rows * channels), dy = drawn(outputs * channels);
        gamma = drawn(channels), beta = drawn(channels), running_mean = drawn(channels), running_var = drawn(channels);
        for (u32 i = 0; i < x.size(); i++) x[i] = x[i] * (1 + i % channels % 5) + 3.0f * (float)(i % channels % 7) - 9.0f;
        if (bf16) {
            for (auto& value : x) value = to_bf16(value);
            for (auto& value : dy) value = to_bf16(value);
        }
    }
};

struct Reference {
    std::vector<double> y, dx, dgamma, dbeta, running_mean, running_var;
};

static Reference reference(const Data& d, u32 groups, u32 width, u32 channels, u32 pool) {
    const u32 rows = groups * width, pooled = width / pool;
    Reference r;
    r.y.resize(groups * pooled * channels), r.dx.resize(rows * channels);
    for (u32 c = 0; c < channels; c++) {
        double mean = 0, squares = 0;
        for (u32 i = 0; i < rows; i++) mean += d.x[i * channels + c];
        mean /= rows;
        for (u32 i = 0; i < rows; i++) squares += std::pow(d.x[i * channels + c] - mean, 2);
        const double invstd = 1 / std::sqrt(squares / rows + EPS);
        std::vector<double> gradient(rows);
        double dgamma = 0, dbeta = 0;
        for (u32 g = 0; g < groups; g++) {
            for (u32 o = 0; o < pooled; o++) {
                u32 at = 0;
                double best = -INFINITY;
                for (u32 p = 0; p < pool; p++) {
                    const u32 row = g * width + o * pool + p;
                    const double normed = (d.x[row * channels + c] - mean) * invstd * d.gamma[c] + d.beta[c];
                    if (normed > best) best = normed, at = row;
                }
                const u32 output = (g * pooled + o) * channels + c;
                r.y[output] = std::max(best, 0.0);
                if (best > 0) {
                    gradient[at] = d.dy[output];
                    dbeta += d.dy[output];
                    dgamma += d.dy[output] * (d.x[at * channels + c] - mean) * invstd;
                }
            }
        }
        for (u32 i = 0; i < rows; i++) {
            const double normed = (d.x[i * channels + c] - mean) * invstd;
            r.dx[i * channels + c] = d.gamma[c] * invstd * (gradient[i] - dbeta / rows - normed * dgamma / rows);
        }
        r.dgamma.push_back(dgamma), r.dbeta.push_back(dbeta);
        r.running_mean.push_back((1 - MOMENTUM) * d.running_mean[c] + MOMENTUM * mean);
        r.running_var.push_back((1 - MOMENTUM) * d.running_var[c] + MOMENTUM * squares / (rows - 1.0));
    }
    return r;
}

template <typename Pack>
void fill(std::vector<Pack>& packs, const std::vector<float>& from, bool bf16) {
    auto* to = reinterpret_cast<unsigned char*>(packs.data());
    for (size_t i = 0; i < from.size(); i++) {
        const u32 bits = std::bit_cast<u32>(from[i]);
        const uint16_t half = (uint16_t)(bits >> 16);
        if (bf16) std::memcpy(to + 2 * i, &half, 2);
        else std::memcpy(to + 4 * i, &bits, 4);
    }
}

template <typename Pack>
std::vector<double> values(const std::vector<Pack>& packs, bool bf16) {
    const auto* from = reinterpret_cast<const unsigned char*>(packs.data());
    std::vector<double> to(packs.size() * sizeof(Pack) / (bf16 ? 2 : 4));
    for (size_t i = 0; i < to.size(); i++) {
        u32 bits = 0;
        if (bf16) std::memcpy(reinterpret_cast<unsigned char*>(&bits) + 2, from + 2 * i, 2);
        else std::memcpy(&bits, from + 4 * i, 4);
        to[i] = std::bit_cast<float>(bits);
    }
    return to;
}

static std::vector<double> doubles(const std::vector<float>& from) { return {from.begin(), from.end()}; }

// The largest difference over tolerance · (1 + size of the value); NaN equals NaN alone.
static double difference(const char* name, const std::vector<double>& found, const std::vector<double>& expected, double tolerance) {
    double worst = 0;
    for (size_t i = 0; i < expected.size(); i++) {
        if (std::isnan(found[i]) && std::isnan(expected[i])) continue;
        double off = std::abs(found[i] - expected[i]) / (tolerance * (1 + std::abs(expected[i])));
        if (std::isnan(off)) off = INFINITY;
        if (off > 1 && worst <= 1) std::printf("%s[%zu] is %g, not %g\n", name, i, found[i], expected[i]);
        worst = std::max(worst, off);
    }
    if (found.size() != expected.size()) std::printf("%s has %zu values, not %zu\n", name, found.size(), expected.size());
    return found.size() == expected.size() ? worst : INFINITY;
}

// As the model has it; several tiles a block, and a last tile that is not full; vectors shorter than a load.
#define NAME f32_8_1
#define CHANNELS 8
#define POOL 1
#define BF16 0
#define VECTOR 4
#define THREADS 16
#include "case.h"
#define NAME bf16_8_2
#define CHANNELS 8
#define POOL 2
#define BF16 1
#define VECTOR 8
#define THREADS 16
#include "case.h"
#define NAME f32_128_3
#define CHANNELS 128
#define POOL 3
#define BF16 0
#define VECTOR 4
#define THREADS 64
#include "case.h"
#define NAME bf16_128_3
#define CHANNELS 128
#define POOL 3
#define BF16 1
#define VECTOR 8
#define THREADS 64
#include "case.h"
#define NAME bf16_128_1
#define CHANNELS 128
#define POOL 1
#define BF16 1
#define VECTOR 8
#define THREADS 64
#include "case.h"
#define NAME bf16_20_3
#define CHANNELS 20
#define POOL 3
#define BF16 1
#define VECTOR 4
#define THREADS 32
#include "case.h"
#define NAME f32_20_4
#define CHANNELS 20
#define POOL 4
#define BF16 0
#define VECTOR 4
#define THREADS 32
#include "case.h"
#define NAME bf16_72_3
#define CHANNELS 72
#define POOL 3
#define BF16 1
#define VECTOR 8
#define THREADS 8
#include "case.h"
#define NAME bf16_7_3
#define CHANNELS 7
#define POOL 3
#define BF16 1
#define VECTOR 1
#define THREADS 16
#include "case.h"

int main() {
    double worst = 0;
    // Groups, width, blocks: whole and broken windows, fewer rows than lanes, one window, many sweeps.
    const u32 shapes[][3] = {{3, 12, 2}, {2, 13, 3}, {3, 14, 1}, {5, 4, 7}, {1, 4, 2}, {2, 150, 3}, {7, 41, 2}};
    for (const auto& [groups, width, blocks] : shapes) {
        for (const auto run : {f32_8_1::run, bf16_8_2::run, f32_128_3::run, bf16_128_3::run, bf16_128_1::run, bf16_20_3::run,
                               f32_20_4::run, bf16_72_3::run, bf16_7_3::run}) {
            worst = std::max(worst, run(groups, width, blocks));
        }
    }
    // One row: its variance has no unbiased estimate.
    worst = std::max({worst, f32_8_1::run(1, 1, 2), bf16_128_1::run(1, 1, 1)});
    return worst <= 1 ? 0 : 1;
}
