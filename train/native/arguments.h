// What the host gives to every kernel of kernels.cu, and how blocks divide the work: both sides read this text.

// Device pointers and sizes; a kernel reads what it needs. Activations are channels-last: a row is one position's
// channels, a group is one segment's `width` rows, a window is what one output is the maximum of.
struct Arguments {
    const void* x;       // [groups, width, channels]
    void* y;             // [groups, pooled, channels]
    const void* dy;      // as y
    void* dx;            // as x
    const float* gamma;  // [channels], and so on
    const float* beta;
    float* running_mean;
    float* running_var;
    float* mean;    // of the batch
    float* invstd;  // 1 / √(variance of the batch + eps)
    float* dgamma;
    float* dbeta;
    float* partials;  // [2, blocks, channels]: one pair of sums, or a mean and its squares, of each block
    float momentum;   // the new value's share of the running statistics
    float eps;
    unsigned groups;
    unsigned width;
    unsigned pooled;  // width / pool: outputs of a group
    unsigned spans;   // windows of a group, the last, incomplete one included
    unsigned blocks;  // that wrote partials
};

// Rows that a thread has in flight at once.
constexpr int MOMENTS_DEPTH = 4;
constexpr int outputs_at_once(int pool) { return pool == 1 ? 4 : pool <= 3 ? 2 : 1; }
constexpr int gradients_at_once(int pool) { return pool == 1 ? 2 : 1; }

// A block is `lanes` rows of `tile` vectors.
constexpr int tile(int channels, int vector, int threads) {
    return channels / vector < threads ? channels / vector : threads;
}
constexpr int lanes(int channels, int vector, int threads) { return threads / tile(channels, vector, threads); }

// Channels that one block of `finish_*` works on: a sector of memory.
constexpr int FINISH_CHANNELS = 8;
