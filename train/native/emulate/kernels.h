// Runs CUDA kernels on the CPU, one block after another: enough of CUDA's C++ for kernels.cu.

#pragma once

#include <barrier>
#include <bit>
#include <cmath>
#include <cstdint>
#include <thread>
#include <vector>

#define __device__
#define __forceinline__ inline
#define __shared__ static
#define KERNEL(threads) static void

typedef unsigned int u32;
typedef unsigned long long u64;

struct Index {
    u32 x = 0, y = 0;
};

inline thread_local Index threadIdx, blockIdx, blockDim, gridDim;
inline std::barrier<>* team = nullptr;

inline void __syncthreads() { team->arrive_and_wait(); }
inline float __uint_as_float(u32 bits) { return std::bit_cast<float>(bits); }
inline u32 __float_as_uint(float value) { return std::bit_cast<u32>(value); }

template <typename Arguments>
void launch(void (*kernel)(Arguments), Index grid, u32 threads, const Arguments& arguments) {
    std::barrier<> all(threads);
    team = &all;
    std::vector<std::thread> running;
    for (u32 t = 0; t < threads; t++) {
        running.emplace_back([&, t] {
            threadIdx = {t, 0};
            blockDim = {threads, 1};
            gridDim = grid;
            for (u32 y = 0; y < grid.y; y++) {
                for (u32 x = 0; x < grid.x; x++) {
                    blockIdx = {x, y};
                    kernel(arguments);
                    // Shared memory is one for all blocks.
                    all.arrive_and_wait();
                }
            }
        });
    }
    for (auto& thread : running) thread.join();
}
