// Batch norm with the batch's statistics, ReLU and max pooling over the last axis, in one operator.
//
// Compiled at run time, after arguments.h, once for each number of channels, pool and element type, which are the
// macros CHANNELS, POOL and BF16; VECTOR is the number of values of one load (at most 16 bytes), THREADS the most
// threads of a block and FINISH_THREADS those of a block that adds up what other blocks left. Activations are read
// twice forward and twice backward and nothing is kept in between but x: the position of a maximum is found again. Sums
// have a fixed order, so results repeat to the bit.

#ifndef KERNEL
#define KERNEL(threads) extern "C" __global__ void __launch_bounds__(threads)
typedef unsigned int u32;
typedef unsigned long long u64;
#endif

constexpr int VECTORS = CHANNELS / VECTOR;
constexpr int TILE = tile(CHANNELS, VECTOR, THREADS);
constexpr int LANES = lanes(CHANNELS, VECTOR, THREADS);
constexpr int OUTPUTS = outputs_at_once(POOL);
constexpr int GRADIENTS = gradients_at_once(POOL);
constexpr int FINISH_LANES = FINISH_THREADS / FINISH_CHANNELS;

#if BF16
typedef unsigned short Element;
#else
typedef float Element;
#endif

// The values of one load.
struct alignas(VECTOR * sizeof(Element)) Pack {
    Element values[VECTOR];
};

__device__ __forceinline__ void unpack(const Pack& pack, float (&values)[VECTOR]) {
#pragma unroll
    for (int v = 0; v < VECTOR; v++) {
#if BF16
        values[v] = __uint_as_float((u32)pack.values[v] << 16);
#else
        values[v] = pack.values[v];
#endif
    }
}

#if BF16
// To the nearest, ties to even; NaN stays NaN.
__device__ __forceinline__ u32 rounded(float low, float high) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    u32 pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
#else
    u32 pair = 0;
    const float both[2] = {low, high};
    for (int i = 0; i < 2; i++) {
        const u32 bits = __float_as_uint(both[i]);
        const u32 half = both[i] != both[i] ? 0x7fffu : (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
        pair |= half << (16 * i);
    }
    return pair;
#endif
}
#endif

__device__ __forceinline__ Pack packed(const float (&values)[VECTOR]) {
    Pack pack;
#if BF16
#pragma unroll
    for (int v = 0; v < VECTOR; v += 2) {
        const u32 pair = rounded(values[v], v + 1 < VECTOR ? values[v + 1] : 0.0f);
        pack.values[v] = (Element)(pair & 0xffffu);
        if (v + 1 < VECTOR) pack.values[v + 1] = (Element)(pair >> 16);
    }
#else
#pragma unroll
    for (int v = 0; v < VECTOR; v++) pack.values[v] = values[v];
#endif
    return pack;
}

// Where a thread of the streaming kernels works: a vector of channels, and every `step`-th row or window from `first`.
struct Place {
    u32 column, lane, vector, first, step;
};

__device__ __forceinline__ Place place() {
    Place at;
    at.column = threadIdx.x % TILE;
    at.lane = threadIdx.x / TILE;
    at.vector = blockIdx.y * TILE + at.column;
    at.first = blockIdx.x * LANES + at.lane;
    at.step = gridDim.x * LANES;
    return at;
}

// How many of `rows` the thread of that first row has.
__device__ __forceinline__ u32 share(u32 rows, u32 first, u32 step) {
    return first < rows ? (rows - first - 1) / step + 1 : 0;
}

// Merges the mean and the summed squared deviations of N new values into those of `count` (Chan et al. 1979).
template <int N>
__device__ __forceinline__ void merge(const Pack (&loaded)[N], u32 count, float (&mean)[VECTOR], float (&square)[VECTOR]) {
    float values[N][VECTOR];
#pragma unroll
    for (int n = 0; n < N; n++) unpack(loaded[n], values[n]);
    const float weight = (float)N / (float)(count + N);
    const float both = weight * (float)count;
#pragma unroll
    for (int v = 0; v < VECTOR; v++) {
        float sum = values[0][v];
#pragma unroll
        for (int n = 1; n < N; n++) sum += values[n][v];
        const float middle = sum * (1.0f / N);
        const float delta = middle - mean[v];
        float squares = 0.0f;
#pragma unroll
        for (int n = 0; n < N; n++) squares = fmaf(values[n][v] - middle, values[n][v] - middle, squares);
        mean[v] = fmaf(delta, weight, mean[v]);
        square[v] += fmaf(delta * delta, both, squares);
    }
}

// Every block's mean and summed squared deviations of each channel.
KERNEL(THREADS) moments(const Arguments a) {
    __shared__ float means[VECTOR * THREADS];
    __shared__ float squares[VECTOR * THREADS];
    const Place at = place();
    const u32 rows = a.groups * a.width;
    float mean[VECTOR], square[VECTOR];
#pragma unroll
    for (int v = 0; v < VECTOR; v++) mean[v] = square[v] = 0.0f;
    if (at.vector < VECTORS) {
        const Pack* x = (const Pack*)a.x + at.vector;
        const u32 mine = share(rows, at.first, at.step);
        u32 count = 0;
        u64 row = at.first;
        for (; count + MOMENTS_DEPTH <= mine; count += MOMENTS_DEPTH, row += (u64)MOMENTS_DEPTH * at.step) {
            Pack loaded[MOMENTS_DEPTH];
#pragma unroll
            for (int n = 0; n < MOMENTS_DEPTH; n++) loaded[n] = x[(row + (u64)n * at.step) * VECTORS];
            merge(loaded, count, mean, square);
        }
        for (; count < mine; count++, row += at.step) {
            const Pack loaded[1] = {x[row * VECTORS]};
            merge(loaded, count, mean, square);
        }
    }
#pragma unroll
    for (int v = 0; v < VECTOR; v++) {
        means[v * THREADS + threadIdx.x] = mean[v];
        squares[v * THREADS + threadIdx.x] = square[v];
    }
    __syncthreads();
    for (u32 i = threadIdx.x; i < TILE * VECTOR; i += blockDim.x) {
        const u32 column = i % TILE, value = i / TILE;
        const u32 vector = blockIdx.y * TILE + column;
        if (vector >= VECTORS) continue;
        float middle = 0.0f, square = 0.0f, count = 0.0f;
        for (u32 lane = 0; lane < LANES; lane++) {
            const float more = (float)share(rows, blockIdx.x * LANES + lane, at.step);
            if (more == 0.0f) break;
            const u32 from = value * THREADS + lane * TILE + column;
            const float weight = more / (count + more);
            const float delta = means[from] - middle;
            middle = fmaf(delta, weight, middle);
            square += fmaf(delta * delta, weight * count, squares[from]);
            count += more;
        }
        const u64 to = (u64)blockIdx.x * CHANNELS + vector * VECTOR + value;
        a.partials[to] = middle;
        a.partials[(u64)gridDim.x * CHANNELS + to] = square;
    }
}

// Leaves in lane 0 the sums over the lanes of a block that finishes; the number of lanes is a power of two.
__device__ __forceinline__ void add_lanes(double* firsts, double* seconds, u32 lane) {
    for (u32 half = FINISH_LANES / 2; half > 0; half /= 2) {
        __syncthreads();
        if (lane < half) {
            firsts[threadIdx.x] += firsts[threadIdx.x + half * FINISH_CHANNELS];
            seconds[threadIdx.x] += seconds[threadIdx.x + half * FINISH_CHANNELS];
        }
    }
}

// The batch's statistics from those of the blocks, and the running ones.
KERNEL(FINISH_THREADS) finish_moments(const Arguments a) {
    __shared__ double firsts[FINISH_THREADS];
    __shared__ double seconds[FINISH_THREADS];
    const u32 lane = threadIdx.x / FINISH_CHANNELS;
    const u32 channel = blockIdx.x * FINISH_CHANNELS + threadIdx.x % FINISH_CHANNELS;
    const u32 rows = a.groups * a.width;
    const u32 sweep = a.blocks * LANES;
    const u32 whole = rows / sweep * LANES, rest = rows % sweep;
    // Sums around the first block's mean: no cancellation, and no division for each block.
    double shift = 0.0, first = 0.0, second = 0.0;
    if (channel < CHANNELS) {
        shift = a.partials[channel];
#pragma unroll 4
        for (u32 block = lane; block < a.blocks; block += FINISH_LANES) {
            const u32 before = block * LANES;
            const u32 more = rest <= before ? 0 : rest - before < LANES ? rest - before : LANES;
            const double count = (double)(whole + more);
            const u64 from = (u64)block * CHANNELS + channel;
            const double delta = (double)a.partials[from] - shift;
            first += count * delta;
            second += count * delta * delta + (double)a.partials[(u64)a.blocks * CHANNELS + from];
        }
    }
    firsts[threadIdx.x] = first;
    seconds[threadIdx.x] = second;
    add_lanes(firsts, seconds, lane);
    if (lane != 0 || channel >= CHANNELS) return;
    first = firsts[threadIdx.x];
    second = seconds[threadIdx.x];
    const double mean = shift + first / rows;
    double squares = second - first * first / rows;
    if (squares < 0.0) squares = 0.0;
    const double unbiased = squares / ((double)rows - 1.0);
    a.mean[channel] = (float)mean;
    a.invstd[channel] = (float)(1.0 / sqrt(squares / rows + (double)a.eps));
    a.running_mean[channel] = (1.0f - a.momentum) * a.running_mean[channel] + a.momentum * (float)mean;
    a.running_var[channel] = (1.0f - a.momentum) * a.running_var[channel] + a.momentum * (float)unbiased;
}

// The channels' factors and terms: normed = (x − mean) · scale + beta.
struct Norm {
    float mean[VECTOR], scale[VECTOR], beta[VECTOR];
};

__device__ __forceinline__ Norm norm(const Arguments& a, u32 vector) {
    Norm n;
#pragma unroll
    for (int v = 0; v < VECTOR; v++) {
        const u32 channel = vector * VECTOR + v;
        n.mean[v] = a.mean[channel];
        n.scale[v] = a.gamma[channel] * a.invstd[channel];
        n.beta[v] = a.beta[channel];
    }
    return n;
}

// The first row of an output's window.
__device__ __forceinline__ u64 first_row(const Arguments& a, u32 output) {
    if (a.spans == a.pooled && a.width == a.pooled * POOL) return (u64)output * POOL;
    return (u64)(output / a.pooled) * a.width + output % a.pooled * POOL;
}

// y. From the last output to the first: the rows that `moments` read last may still be in the cache.
KERNEL(THREADS) outputs(const Arguments a) {
    const Place at = place();
    if (at.vector >= VECTORS) return;
    const Pack* x = (const Pack*)a.x + at.vector;
    Pack* y = (Pack*)a.y + at.vector;
    const u32 count = a.groups * a.pooled;
    const Norm n = norm(a, at.vector);
    for (u32 done = at.first; done < count; done += OUTPUTS * at.step) {
        Pack loaded[OUTPUTS][POOL];
#pragma unroll
        for (int o = 0; o < OUTPUTS; o++) {
            const u32 index = done + o * at.step;
            if (index < count) {
                const Pack* row = x + first_row(a, count - 1 - index) * VECTORS;
#pragma unroll
                for (u32 p = 0; p < POOL; p++) loaded[o][p] = row[p * VECTORS];
            }
        }
#pragma unroll
        for (int o = 0; o < OUTPUTS; o++) {
            const u32 index = done + o * at.step;
            if (index < count) {
                float best[VECTOR];
#pragma unroll
                for (u32 p = 0; p < POOL; p++) {
                    float values[VECTOR];
                    unpack(loaded[o][p], values);
#pragma unroll
                    for (int v = 0; v < VECTOR; v++) {
                        const float normed = fmaf(values[v] - n.mean[v], n.scale[v], n.beta[v]);
                        // A NaN wins, as in libtorch.
                        if (p == 0 || normed > best[v] || normed != normed) best[v] = normed;
                    }
                }
#pragma unroll
                for (int v = 0; v < VECTOR; v++) best[v] = best[v] < 0.0f ? 0.0f : best[v];
                y[(u64)(count - 1 - index) * VECTORS] = packed(best);
            }
        }
    }
}

// For each channel of a window, the position whose value passed the pool and the ReLU; POOL where none did.
// `centred` becomes that position's x − mean.
__device__ __forceinline__ void passed(const Pack (&window)[POOL], const Norm& n, u32 (&position)[VECTOR], float (&centred)[VECTOR]) {
    float best[VECTOR];
#pragma unroll
    for (u32 p = 0; p < POOL; p++) {
        float values[VECTOR];
        unpack(window[p], values);
#pragma unroll
        for (int v = 0; v < VECTOR; v++) {
            const float from_mean = values[v] - n.mean[v];
            const float normed = fmaf(from_mean, n.scale[v], n.beta[v]);
            if (p == 0 || normed > best[v] || normed != normed) {
                best[v] = normed;
                position[v] = p;
                centred[v] = from_mean;
            }
        }
    }
#pragma unroll
    for (int v = 0; v < VECTOR; v++) {
        if (best[v] <= 0.0f) position[v] = POOL;
    }
}

// Every block's sums of the gradient after the norm, and of it times x − mean.
KERNEL(THREADS) sums(const Arguments a) {
    __shared__ float plain[VECTOR * THREADS];
    __shared__ float times[VECTOR * THREADS];
    const Place at = place();
    float sum[VECTOR], product[VECTOR];
#pragma unroll
    for (int v = 0; v < VECTOR; v++) sum[v] = product[v] = 0.0f;
    if (at.vector < VECTORS) {
        const Pack* x = (const Pack*)a.x + at.vector;
        const Pack* dy = (const Pack*)a.dy + at.vector;
        const u32 count = a.groups * a.pooled;
        const Norm n = norm(a, at.vector);
        for (u32 output = at.first; output < count; output += OUTPUTS * at.step) {
            Pack loaded[OUTPUTS][POOL], given[OUTPUTS];
#pragma unroll
            for (int o = 0; o < OUTPUTS; o++) {
                const u32 index = output + o * at.step;
                if (index < count) {
                    const Pack* row = x + first_row(a, index) * VECTORS;
#pragma unroll
                    for (u32 p = 0; p < POOL; p++) loaded[o][p] = row[p * VECTORS];
                    given[o] = dy[(u64)index * VECTORS];
                }
            }
#pragma unroll
            for (int o = 0; o < OUTPUTS; o++) {
                if (output + o * at.step < count) {
                    u32 position[VECTOR];
                    float centred[VECTOR], gradient[VECTOR];
                    passed(loaded[o], n, position, centred);
                    unpack(given[o], gradient);
#pragma unroll
                    for (int v = 0; v < VECTOR; v++) {
                        const float through = position[v] < POOL ? gradient[v] : 0.0f;
                        sum[v] += through;
                        product[v] = fmaf(through, centred[v], product[v]);
                    }
                }
            }
        }
    }
#pragma unroll
    for (int v = 0; v < VECTOR; v++) {
        plain[v * THREADS + threadIdx.x] = sum[v];
        times[v * THREADS + threadIdx.x] = product[v];
    }
    __syncthreads();
    for (u32 i = threadIdx.x; i < TILE * VECTOR; i += blockDim.x) {
        const u32 column = i % TILE, value = i / TILE;
        const u32 vector = blockIdx.y * TILE + column;
        if (vector >= VECTORS) continue;
        float first = 0.0f, second = 0.0f;
        for (u32 lane = 0; lane < LANES; lane++) {
            first += plain[value * THREADS + lane * TILE + column];
            second += times[value * THREADS + lane * TILE + column];
        }
        const u64 to = (u64)blockIdx.x * CHANNELS + vector * VECTOR + value;
        a.partials[to] = first;
        a.partials[(u64)gridDim.x * CHANNELS + to] = second;
    }
}

// The gradients of gamma and beta from the blocks' sums.
KERNEL(FINISH_THREADS) finish_sums(const Arguments a) {
    __shared__ double firsts[FINISH_THREADS];
    __shared__ double seconds[FINISH_THREADS];
    const u32 lane = threadIdx.x / FINISH_CHANNELS;
    const u32 channel = blockIdx.x * FINISH_CHANNELS + threadIdx.x % FINISH_CHANNELS;
    double first = 0.0, second = 0.0;
    if (channel < CHANNELS) {
#pragma unroll 4
        for (u32 block = lane; block < a.blocks; block += FINISH_LANES) {
            const u64 from = (u64)block * CHANNELS + channel;
            first += (double)a.partials[from];
            second += (double)a.partials[(u64)a.blocks * CHANNELS + from];
        }
    }
    firsts[threadIdx.x] = first;
    seconds[threadIdx.x] = second;
    add_lanes(firsts, seconds, lane);
    if (lane != 0 || channel >= CHANNELS) return;
    first = firsts[threadIdx.x];
    second = seconds[threadIdx.x];
    a.dbeta[channel] = (float)first;
    a.dgamma[channel] = (float)(second * (double)a.invstd[channel]);
}

// dx = scale · (gradient after the norm − dbeta / rows − (x − mean) · invstd · dgamma / rows), also where no window
// reaches. From the last window to the first, as in `outputs`.
KERNEL(THREADS) gradients(const Arguments a) {
    const Place at = place();
    if (at.vector >= VECTORS) return;
    const Pack* x = (const Pack*)a.x + at.vector;
    const Pack* dy = (const Pack*)a.dy + at.vector;
    Pack* dx = (Pack*)a.dx + at.vector;
    const u32 count = a.groups * a.spans;
    const bool even = a.width == a.pooled * POOL;
    const float share_of_row = 1.0f / ((float)a.groups * (float)a.width);
    const Norm n = norm(a, at.vector);
    float constant[VECTOR], slope[VECTOR];
#pragma unroll
    for (int v = 0; v < VECTOR; v++) {
        const u32 channel = at.vector * VECTOR + v;
        constant[v] = n.scale[v] * a.dbeta[channel] * share_of_row;
        slope[v] = n.scale[v] * a.invstd[channel] * a.dgamma[channel] * share_of_row;
    }
    for (u32 done = at.first; done < count; done += GRADIENTS * at.step) {
        Pack loaded[GRADIENTS][POOL], given[GRADIENTS];
        u64 row[GRADIENTS];
        u32 length[GRADIENTS];
#pragma unroll
        for (int g = 0; g < GRADIENTS; g++) {
            const u32 index = done + g * at.step;
            length[g] = 0;
            if (index < count) {
                const u32 window = count - 1 - index;
                u64 output = window;
                row[g] = (u64)window * POOL;
                length[g] = POOL;
                if (!even) {
                    const u32 group = window / a.spans, span = window % a.spans;
                    output = (u64)group * a.pooled + span;
                    row[g] = (u64)group * a.width + span * POOL;
                    if (span == a.pooled) length[g] = a.width - span * POOL;
                }
#pragma unroll
                for (u32 p = 0; p < POOL; p++) {
                    if (p < length[g]) loaded[g][p] = x[(row[g] + p) * VECTORS];
                }
                if (length[g] == POOL) given[g] = dy[output * VECTORS];
            }
        }
#pragma unroll
        for (int g = 0; g < GRADIENTS; g++) {
            if (length[g] == 0) continue;
            u32 position[VECTOR];
            float centred[VECTOR], gradient[VECTOR];
            if (length[g] == POOL) {
                passed(loaded[g], n, position, centred);
                unpack(given[g], gradient);
            } else {
#pragma unroll
                for (int v = 0; v < VECTOR; v++) {
                    position[v] = POOL;
                    gradient[v] = 0.0f;
                }
            }
#pragma unroll
            for (u32 p = 0; p < POOL; p++) {
                if (p < length[g]) {
                    float values[VECTOR];
                    unpack(loaded[g][p], values);
#pragma unroll
                    for (int v = 0; v < VECTOR; v++) {
                        const float through = position[v] == p ? n.scale[v] * gradient[v] : 0.0f;
                        values[v] = through - fmaf(values[v] - n.mean[v], slope[v], constant[v]);
                    }
                    dx[(row[g] + p) * VECTORS] = packed(values);
                }
            }
        }
    }
}
